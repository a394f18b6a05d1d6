#include "dsrasq/core/error.h"

#include <gtest/gtest.h>

#include <set>

namespace dsrasq {
namespace {

TEST(Error, MessageNamesThePlace) {
  try {
    DSRASQ_CHECK(1 > 2, kBadInput, "core.test", "value is ", 3, ", want 4");
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_STREQ(e.what(), "[core.test] value is 3, want 4");
  }
}

TEST(Error, EveryCodeHasItsOwnNameAndExitStatus) {
  std::set<std::string> names;
  std::set<int> statuses;
  for (int code = 1; code <= static_cast<int>(ErrorCode::kInternal); ++code) {
    const ErrorInfo info = error_info(static_cast<ErrorCode>(code));
    names.insert(info.name);
    statuses.insert(info.exit_status);
    EXPECT_NE(info.exit_status, 0);
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(ErrorCode::kInternal));
  EXPECT_EQ(statuses.size(), static_cast<size_t>(ErrorCode::kInternal));
}

}  // namespace
}  // namespace dsrasq
