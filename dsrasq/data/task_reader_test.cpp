#include "dsrasq/data/task_reader.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

using Texts = std::vector<std::string>;
const char* const kRuler = R"({"index": 0, "input": "a", "outputs": ["b"]})";

class TaskReaderTest : public FilesTest {
 protected:
  static Texts tasks_and_ids(const Texts& paths, const std::string& format = "auto") {
    TaskReader reader(paths, format);
    Texts out;
    while (const auto sample = reader.next()) out.push_back(sample->task + ":" + sample->id);
    return out;
  }
  static std::string refusal(const Texts& paths, const std::string& format = "auto") {
    return message_of([&] { tasks_and_ids(paths, format); });
  }
};

TEST_F(TaskReaderTest, SeveralFilesAreReadInOrderAsTasksOfTheirOwn) {
  const std::string a = write("niah.jsonl", kRuler), b = write("vt.jsonl.xz", xz(kRuler));
  EXPECT_EQ(tasks_and_ids({b, a}), (Texts{"vt:0", "niah:0"}));
  EXPECT_TRUE(contains(refusal({a, a}), "niah.jsonl: sample 0 is there twice"));
}

TEST_F(TaskReaderTest, AFolderStandsForItsJsonFiles) {
  std::filesystem::create_directory(folder_ / "in");
  write("in/b.jsonl", kRuler);
  write("in/a.json.xz", xz(kRuler));
  write("in/readme.txt", "no data");
  EXPECT_EQ(tasks_and_ids({folder_ / "in"}), (Texts{"a:0", "b:0"}));
  std::filesystem::create_directory(folder_ / "none");
  EXPECT_TRUE(contains(refusal({folder_ / "none"}), "none holds no .json or .jsonl file"));
}

TEST_F(TaskReaderTest, UnknownContentNamesTheFieldsThatWereFound) {
  const std::string a = write("a.json", R"({"foo": 1, "bar": [2]})");
  const std::string message = refusal({a});
  EXPECT_TRUE(contains(message, "a.json is in no known format: its first record has bar, foo"))
      << message;
  EXPECT_TRUE(contains(message, "hotpotqa, musique")) << message;
  EXPECT_TRUE(contains(refusal({write("b.txt", "Once upon a time.\n")}),
                       "neither JSON nor bAbI's numbered lines"));
  EXPECT_TRUE(contains(refusal({write("c", " \n ")}), "begins with nothing but white space"));
  EXPECT_TRUE(contains(refusal({(folder_ / "gone").string()}), "gone cannot be read"));
}

TEST_F(TaskReaderTest, AnExplicitFormatIsTakenAndItsFieldsAreMissed) {
  const std::string a = write("a.jsonl", kRuler);
  EXPECT_EQ(tasks_and_ids({a}, "ruler"), Texts{"a:0"});
  EXPECT_TRUE(contains(refusal({a}, "squad"), "a.jsonl record 1 (line 1) lacks \"data\""));
  EXPECT_THROW(TaskReader({a}, "squid"), Error);
  EXPECT_THROW(TaskReader({}, "auto"), Error);
}

TEST_F(TaskReaderTest, HostileRecordsAreRefused) {
  const std::string deep(1000, '[');
  EXPECT_TRUE(
      contains(refusal({write("a.json", "{\"data\":" + deep + std::string(1000, ']') + "}")}),
               "nests deeper than"));
  EXPECT_TRUE(contains(refusal({write("b.json", R"({"data": 1e999})")}), "number"));
  EXPECT_TRUE(contains(refusal({write("c.json", R"({"data": []})")}), "holds no question"));
  EXPECT_TRUE(contains(refusal({write("d.json", R"({"data" 5})")}), "not JSON at byte"));
  EXPECT_TRUE(contains(refusal({write("e.json", "{\"data\": \"\xFF\"}")}), "not JSON at byte"));
  EXPECT_TRUE(contains(refusal({write("f.jsonl", R"({"index": 18446744073709551615, "input": "a",
                       "outputs": ["b"]})")}),
                       "index is no whole number"));
}

}  // namespace
}  // namespace dsrasq::data
