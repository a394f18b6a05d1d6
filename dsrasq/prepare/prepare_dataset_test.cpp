#include "dsrasq/prepare/prepare_dataset.h"

#include <nlohmann/json.hpp>
#include <sstream>

#include "dsrasq/data/test_files.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::prepare {
namespace {

namespace fs = std::filesystem;
using data::contains;
using Json = nlohmann::ordered_json;

class PrepareDatasetTest : public data::FilesTest {
 protected:
  Json make(const PrepareOptions& options) {
    return prepare_dataset(plan_dataset(options), options, *tokenizer_, nullptr);
  }
  PrepareOptions options(const std::string& name, std::string_view bytes) {
    PrepareOptions out;
    out.inputs = {write(name, bytes)};
    out.output = folder_ / "out";
    return out;
  }
  std::vector<Json> rows(const char* name) {
    std::istringstream lines(read_file(folder_ / "out" / name));
    std::vector<Json> out;
    for (std::string line; std::getline(lines, line);) out.push_back(Json::parse(line));
    return out;
  }
  // What stands between two tokens of all.
  std::string text(const Json& row) {
    const train::TokenCache cache(folder_ / "out/data.tokens");
    const int64_t begin = row["begin"], end = row["end"];
    return tokenizer_->decode(cache.read(begin, end - begin));
  }

  std::unique_ptr<text::Tokenizer> tokenizer_ =
      text::load_tokenizer("tests/golden/models/text");  // of the checkout
};

std::string story(const char* id, const char* time) {
  return std::string("<REUTERS NEWID=\"") + id + "\"><DATE>1-MAR-1987 " + time +
         "</DATE><TEXT>Story " + id + " of the day.</TEXT></REUTERS>\n";
}

TEST_F(PrepareDatasetTest, AStreamIsInTheOrderOfItsTimes) {
  const Json manifest = make(options(
      "a.sgm", story("1", "12:00:00.05") + story("2", "11:59:59.99") + story("3", "12:00:00.04")));
  EXPECT_EQ(manifest["settings"]["kind"], "stream");
  EXPECT_EQ(manifest["records"], 3);
  EXPECT_EQ(manifest["documents"], 1);
  EXPECT_EQ(manifest["first_time"], "1987-03-01T11:59:59.990");
  const auto records = rows("records.jsonl");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[0]["id"], "2");
  EXPECT_EQ(records[1]["id"], "3");
  EXPECT_EQ(records[2]["time"], "1987-03-01T12:00:00.050");
  EXPECT_EQ(text(records[1]), "Story 3 of the day.\n\n");
}

TEST_F(PrepareDatasetTest, ConversationsOfAStreamAreOneDocument) {
  make(options("a.txt", "One . __eou__\t7\nTwo . __eou__\t2\nThree . __eou__\t7\n"));
  const auto records = rows("records.jsonl");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(text(records[1]), "A: Three .\n\n");
  EXPECT_EQ(records[1]["document"], 0);
  EXPECT_EQ(records[2]["document"], 1);
  EXPECT_EQ(records[2]["stream"], "2");
}

TEST_F(PrepareDatasetTest, DocumentsAreTheTextsThemselves) {
  PrepareOptions given = options("a.md", "# Title\n\nText.\n");
  given.licence = "CC0";
  given.block = given.length = 4;
  const Json manifest = make(given);
  EXPECT_EQ(manifest["settings"]["licence"], "CC0");
  EXPECT_EQ(manifest["blocks"], manifest["documents"]);
  EXPECT_GT(manifest["documents"], 1);
  EXPECT_EQ(text(rows("records.jsonl").at(0)), "# Title\n\nText.\n");
}

TEST_F(PrepareDatasetTest, QuestionsKeepWhereTheirGoldStands) {
  const std::string record = R"({"question": "Who?", "answers": ["Ann"],
      "ctxs": [{"title": "T", "text": "It was Ann."}]})";
  make(options("nq.jsonl", record));
  const auto questions = rows("questions.jsonl");
  ASSERT_EQ(questions.size(), 1u);
  const Json& row = questions[0];
  const auto part = [&](const Json& range) {
    const int64_t begin = row["begin"];
    return text(
        Json{{"begin", begin + range[0].get<int64_t>()}, {"end", begin + range[1].get<int64_t>()}});
  };
  EXPECT_EQ(row["id"], "1");
  EXPECT_EQ(row["answer"], "Ann");
  EXPECT_TRUE(contains(part(row["gold_tokens"][0]), "It was Ann."));
  EXPECT_FALSE(contains(part(row["gold_tokens"][0]), "Who?"));
  EXPECT_TRUE(contains(part(row["question_tokens"]), "Question: Who?\nAnswer:"));
  EXPECT_TRUE(contains(part(row["answer_tokens"]), " Ann"));
}

TEST_F(PrepareDatasetTest, AFinishedFolderIsLeftAsItIs) {
  const PrepareOptions given = options("a.txt", "Call me Ishmael.");
  const Json manifest = make(given);
  const auto time = fs::last_write_time(folder_ / "out/data.tokens");
  EXPECT_EQ(make(given), manifest);
  EXPECT_EQ(fs::last_write_time(folder_ / "out/data.tokens"), time);
  fs::remove(folder_ / "out/data.tokens");
  EXPECT_EQ(make(given), manifest);
  EXPECT_TRUE(fs::exists(folder_ / "out/data.tokens"));
}

TEST_F(PrepareDatasetTest, OptionsOutOfRangeAreNamed) {
  const auto refusal = [&](const std::function<void(PrepareOptions&)>& change) -> std::string {
    PrepareOptions given = options("a.json", R"({"data": []})");
    change(given);
    try {
      plan_dataset(given);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument) << e.what();
      return e.what();
    }
    return "no throw";
  };
  EXPECT_TRUE(contains(refusal([](auto& o) { o.length = 500; }), "--length is 500, want 0 or a"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.length = 1 << 20; }), "want at most 65536"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.block = 0; }), "--block is 0"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.output = ""; }), "want -o FOLDER"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.inputs.clear(); }), "want dsrasq data prepare"));
}

}  // namespace
}  // namespace dsrasq::prepare
