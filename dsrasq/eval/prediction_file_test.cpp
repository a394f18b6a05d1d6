#include "dsrasq/eval/prediction_file.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

class PredictionFileTest : public FolderTest {
 protected:
  static Json line(const std::string& task, const std::string& id, int value) {
    return {{"task", task}, {"id", id}, {"value", value}};
  }
  const std::vector<std::string> keys_{"task", "id"};
};

TEST_F(PredictionFileTest, LinesAreFoundWhenTheFileIsOpenedAgain) {
  const auto path = folder_ / "p.jsonl";
  {
    PredictionFile file(path, keys_);
    file.append(line("a", "1", 10));
    file.append(line("a", "2", 20));
    EXPECT_EQ(file.find({"a", "1"}).fields, nullptr);  // only what was there before
  }
  EXPECT_EQ(read_file(path), line("a", "1", 10).dump() + "\n" + line("a", "2", 20).dump() + "\n");
  const PredictionFile again(path, keys_);
  ASSERT_NE(again.find({"a", "2"}).fields, nullptr);
  EXPECT_EQ(again.find({"a", "2"}).fields->at("value"), 20);
  EXPECT_EQ(again.find({"a", "2"}).number, 2);
  EXPECT_EQ(again.find({"b", "2"}).fields, nullptr);
}

TEST_F(PredictionFileTest, HalfALineAtTheEndIsCutOff) {
  const std::string whole = line("a", "1", 10).dump() + "\n";
  for (const std::string half : {"{", "{\"task\":\"a\",\"id"}) {
    const auto path = write("p.jsonl", whole + half);
    PredictionFile file(path, keys_);
    file.append(line("a", "2", 20));
    EXPECT_EQ(read_file(path), whole + line("a", "2", 20).dump() + "\n");
  }
}

TEST_F(PredictionFileTest, OtherFilesAreRefusedAndLeftAlone) {
  for (const std::string text : {"precious words", "{\"task\":\"a\",\"id\":\"1\"}\nprecious",
                                 "{\"id\":\"1\"}\n", "[]\n", "{\"task\":1,\"id\":\"1\"}\n", "\n"}) {
    const auto path = write("p.jsonl", text);
    EXPECT_HAS(error_text([&] { PredictionFile file(path, keys_); }),
               "is no prediction of this program");
    EXPECT_EQ(read_file(path), text);
  }
  EXPECT_HAS(error_text([&] { PredictionFile file(folder_, keys_); }, ErrorCode::kOutput),
             "is no regular file");
  EXPECT_HAS(
      error_text([&] { PredictionFile file(folder_ / "no" / "p", keys_); }, ErrorCode::kOutput),
      "cannot be written: No such file");
}

TEST_F(PredictionFileTest, AnEmptyPathKeepsNothing) {
  PredictionFile file("", keys_);
  file.append(line("a", "1", 10));
  EXPECT_EQ(file.find({"a", "1"}).fields, nullptr);
}

}  // namespace
}  // namespace dsrasq::eval
