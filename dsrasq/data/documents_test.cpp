#include "dsrasq/data/documents.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

class DocumentsTest : public FilesTest {
 protected:
  std::string refusal(std::string_view lines) {
    return message_of([&] { read_documents(write("a.jsonl", lines)); });
  }
};

TEST_F(DocumentsTest, TextFileIsOneDocument) {
  for (const char* name : {"a.txt", "a.md", "a.log"}) {
    const auto documents = read_documents(write(name, "# Title\n\nText.\n"));
    ASSERT_EQ(documents.size(), 1u);
    EXPECT_EQ(documents[0].text, "# Title\n\nText.\n");
    EXPECT_EQ(documents[0].name, (folder_ / name).string());
  }
}

TEST_F(DocumentsTest, JsonLinesAreNamedByTitleOrByLine) {
  const std::string lines =
      "{\"title\": \"T\", \"text\": \"caf\\u00e9 \\\"x\\\"\", \"year\": 1917}\n\n"
      "{\"meta\": {\"text\": \"no\", \"list\": [1, \"text\", null]}, \"text\": \"b\"}\r\n";
  for (const bool compressed : {false, true}) {
    const auto path = compressed ? write("a.jsonl.xz", xz(lines)) : write("a.jsonl", lines);
    const auto documents = read_documents(path);
    ASSERT_EQ(documents.size(), 2u);
    EXPECT_EQ(documents[0].name, "T");
    EXPECT_EQ(documents[0].text, "caf\xC3\xA9 \"x\"");
    EXPECT_EQ(documents[1].name, path.string() + ":3");
    EXPECT_EQ(documents[1].text, "b");
  }
}

TEST_F(DocumentsTest, ReaderYieldsOneRecordAtATime) {
  std::string lines;
  for (int i = 0; i < 5000; ++i) lines += concat("{\"text\": \"record ", i, "\"}\n");
  DocumentReader reader(write("a.jsonl.xz", xz(lines)));
  for (int i = 0; i < 5000; ++i) {
    const auto document = reader.next();
    ASSERT_TRUE(document.has_value());
    ASSERT_EQ(document->text, concat("record ", i));
  }
  EXPECT_FALSE(reader.next().has_value());
}

TEST_F(DocumentsTest, LastOfEqualKeysCountsAsInPython) {
  const auto documents = read_documents(write("a.jsonl", R"({"text": "a", "text": "b"})"));
  EXPECT_EQ(documents.at(0).text, "b");
  EXPECT_TRUE(contains(refusal(R"({"text": "a", "text": 3})"), "has no string \"text\""));
}

TEST_F(DocumentsTest, BadRecordsNameFileAndLine) {
  EXPECT_TRUE(contains(refusal("{\"text\": \"a\"}\n{\"text\": \"b\"\n"),
                       "a.jsonl line 2 is not JSON (at byte 13 of the line)"));
  EXPECT_TRUE(contains(refusal("\n[1]\n"), "a.jsonl line 2 is not a JSON object"));
  EXPECT_TRUE(contains(refusal("[{\"text\": \"a\"}]\n"), "is not a JSON object"));
  EXPECT_TRUE(contains(refusal("{\"title\": \"a\"}"), "a.jsonl line 1 has no string \"text\""));
  EXPECT_TRUE(contains(refusal("{\"text\": {\"text\": \"a\"}}"), "has no string \"text\""));
  EXPECT_TRUE(contains(refusal("{\"text\": \"\xFF\"}"), "line 1 is not JSON"));
  EXPECT_TRUE(contains(refusal(" \n\n"), "a.jsonl holds no record"));
}

TEST_F(DocumentsTest, DeepNestingNeitherRecursesNorTakesMuchMemory) {
  EXPECT_TRUE(contains(refusal(std::string(1 << 20, '[')), "line 1 is not JSON"));
}

}  // namespace
}  // namespace dsrasq::data
