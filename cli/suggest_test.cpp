#include "cli/suggest.h"

#include <gtest/gtest.h>

namespace dsrasq::cli {
namespace {

const std::vector<std::string> kNames{"window", "sinks", "topk", "pool", "memory", "ask"};

TEST(Suggestions, FindSwappedMissingAndExtraLetters) {
  EXPECT_EQ(nearest_name("widnow", kNames), "window");
  EXPECT_EQ(nearest_name("windows", kNames), "window");
  EXPECT_EQ(nearest_name("memry", kNames), "memory");
  EXPECT_EQ(nearest_name("aks", kNames), "ask");
  EXPECT_EQ(nearest_name("top-k", kNames), "topk");
}

TEST(Suggestions, ANameThatIsNothingLikeAnyGetsNone) {
  EXPECT_EQ(nearest_name("frobnicate", kNames), "");
  EXPECT_EQ(nearest_name("", kNames), "");
  EXPECT_EQ(suggestion("frobnicate", kNames), "");
}

TEST(Suggestions, AreASentencePart) {
  EXPECT_EQ(suggestion("pol", kNames, "--"), "; did you mean --pool?");
}

}  // namespace
}  // namespace dsrasq::cli
