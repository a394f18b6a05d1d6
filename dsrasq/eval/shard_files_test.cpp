#include "dsrasq/eval/shard_files.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

class ShardFilesTest : public FolderTest {
 protected:
  std::string result(const std::string& name, const Json& config) const {
    Json result{{"samples", Json::array()}};
    if (!config.is_null()) result["config"] = config;
    return write(name, result.dump());
  }
  static std::string refusal(const std::vector<std::string>& files) {
    return error_text([&] { merged_config(files); });
  }
};

TEST_F(ShardFilesTest, OptionsAreThoseOfTheFirstShardWithoutItsShare) {
  const std::string a = result("a", {{"text", {"book.txt"}},
                                     {"shard", "0/2"},
                                     {"merge", Json::array()},
                                     {"length", 150},
                                     {"threads", 2},
                                     {"device", "cpu"}});
  const std::string b = result("b", {{"length", 150},
                                     {"text", {"book.txt"}},
                                     {"shard", "1/2"},
                                     {"threads", 4},
                                     {"device", "cuda"}});
  EXPECT_EQ(merged_config({a, b}),
            (Json{{"text", {"book.txt"}}, {"length", 150}, {"threads", 2}, {"device", "cpu"}}));
}

TEST_F(ShardFilesTest, RefusesOptionsThatDifferNamingBothFilesAndTheOption) {
  const std::string a = result("a", {{"text", {"book.txt"}}, {"length", 150}});
  const std::string b = result("b", {{"text", {"book.txt"}}, {"length", 160}});
  const std::string c = result("c", {{"text", {"book.txt"}}, {"length", 150}, {"topk", 64}});
  EXPECT_HAS(refusal({a, a, b}),
             a + " and " + b + " cannot be merged: their config has length 150 and 160");
  EXPECT_HAS(refusal({a, c}), "topk none and 64");
  EXPECT_HAS(refusal({c, a}), "topk 64 and none");
}

TEST_F(ShardFilesTest, ResultsWithoutOptionsMergeOnlyAmongThemselves) {
  const std::string with = result("with", {{"length", 150}}), without = result("without", nullptr);
  EXPECT_TRUE(merged_config({without, without}).is_null());
  EXPECT_HAS(refusal({with, without}), with + " and " + without);
  EXPECT_HAS(refusal({without, with}), "only one of them has a config");
  EXPECT_HAS(refusal({result("list", Json::array())}), "its config is no JSON object");
  EXPECT_HAS(refusal({write("no", "{")}), "not a result with samples");
}

}  // namespace
}  // namespace dsrasq::eval
