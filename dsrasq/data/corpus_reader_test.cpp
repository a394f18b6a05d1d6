#include "dsrasq/data/corpus_reader.h"

#include "dsrasq/data/corpus_formats.h"
#include "dsrasq/data/test_archive.h"

namespace dsrasq::data {
namespace {

using Texts = std::vector<std::string>;

class CorpusReaderTest : public FilesTest {
 protected:
  static std::string format_of(const Texts& inputs) {
    return find_corpus_files(inputs, "auto").format;
  }
  static Texts texts(const Texts& inputs, const std::string& format = "auto") {
    CorpusReader reader(find_corpus_files(inputs, format));
    Texts out;
    while (auto record = reader.next()) out.push_back(record->text);
    return out;
  }
  // The message of a wrong use.
  static std::string misuse(const Texts& inputs, const std::string& format = "auto") {
    try {
      find_corpus_files(inputs, format);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no throw";
    return {};
  }
};

TEST_F(CorpusReaderTest, FormatsAreFoundFromContent) {
  const std::string tabs60(60, '\t'), tabs26(26, '\t'), tabs57(57, '\t');
  const std::pair<std::string, const char*> kCases[] = {
      {"Call me Ishmael.", "text"},
      {"1 Introduction\n\nNo tab.", "text"},
      {"<!DOCTYPE lewis SYSTEM \"lewis.dtd\">", "reuters"},
      {tar_member("a.sgm", "<REUTERS"), "reuters"},
      {"1" + tabs60, "gdelt-events"},
      {"1" + tabs26, "gdelt-gkg"},
      {"Hi . __eou__", "dailydialog"},
      {R"({"t_1": {"article_url": "u", "content": []}})", "topical-chat"},
      {R"({"turns": [], "services": []})", "dialogue"},
      {R"({"document": "a", "summary": "b"})", "summary"},
      {"1 Mary is here.\n2 Where is Mary?\there\t1\n", "babi"}};
  for (const auto& [bytes, format] : kCases) {
    EXPECT_EQ(format_of({write("file", bytes)}), format) << bytes.substr(0, 40);
    EXPECT_EQ(format_of({write("file.xz", xz(bytes))}), format) << bytes.substr(0, 40);
  }
  EXPECT_EQ(format_of({write("a.jsonl", R"({"text": "a"})")}), "text");
  EXPECT_TRUE(contains(message_of([&] { format_of({write("a.csv", "1" + tabs57)}); }),
                       "its first line has 58 tab separated columns; GDELT 2.0 has 61"));
  EXPECT_TRUE(contains(message_of([&] { format_of({write("a.json", R"({"a": 1})")}); }),
                       "a.json is in no known format: its first record has a"));
}

TEST_F(CorpusReaderTest, AFolderStandsForTheFilesBelowIt) {
  std::filesystem::create_directories(folder_ / "docs/more");
  write("docs/b.md", "# B");
  write("docs/more/a.txt", "A");
  write("docs/picture.png", "P");
  EXPECT_EQ(texts({folder_ / "docs"}), (Texts{"# B", "A"}));
  write("docs/c.json", "{}");
  EXPECT_TRUE(contains(message_of([&] { texts({folder_ / "docs"}); }), "files of several kinds"));
  write("docs/r.sgm", "<REUTERS");
  EXPECT_EQ(find_corpus_files({folder_ / "docs"}, "auto").paths.size(), 1u);
  std::filesystem::create_directory(folder_ / "none");
  EXPECT_TRUE(contains(message_of([&] { texts({folder_ / "none"}); }), "none holds no .sgm"));
}

TEST_F(CorpusReaderTest, WrongUseIsSaid) {
  const std::string a = write("a.txt", "A");
  EXPECT_TRUE(contains(misuse({}), "no data file was named"));
  EXPECT_TRUE(contains(misuse({a}, "te"), "--format is \"te\", want auto, text, reuters"));
  EXPECT_TRUE(contains(misuse({"-"}), "standard input"));
  EXPECT_TRUE(contains(misuse({a, folder_ / "." / "a.txt"}), "a.txt is named twice"));
  EXPECT_TRUE(contains(misuse({a, write("b.txt", "Hi . __eou__")}), "a.txt is text data and "));
}

TEST_F(CorpusReaderTest, RecordsWithoutTextAndTwinsAreRefused) {
  const std::string a = write("a.jsonl", R"({"text": "one"})"
                                         "\n"
                                         R"({"text": " "})");
  EXPECT_TRUE(contains(message_of([&] { texts({a}); }), "/2 has no text"));
  const std::string story =
      "<REUTERS NEWID=\"5\"><DATE>1-MAR-1987 00:00:00.00</DATE><TEXT>x</TEXT></REUTERS>";
  const std::string b = write("b.sgm", story), c = write("c.sgm", story);
  EXPECT_TRUE(contains(message_of([&] { texts({b, c}); }), "c.sgm: record 5 is there twice"));
}

}  // namespace
}  // namespace dsrasq::data
