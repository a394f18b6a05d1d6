#include "dsrasq/data/text_reader.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

using namespace std::string_literals;

class TextReaderTest : public FilesTest {
 protected:
  std::string refusal(std::string_view bytes) {
    return message_of([&] { TextReader reader(write("file.txt", bytes)); });
  }
};

TEST_F(TextReaderTest, LinesComeWithoutTheirEnds) {
  TextReader reader(write("a.txt", "one\r\n\ntwo\nlast"));
  std::vector<std::string> lines;
  std::string line;
  while (reader.next_line(line)) lines.push_back(line);
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "", "two", "last"}));
  EXPECT_EQ(reader.line_number(), 4);
}

TEST_F(TextReaderTest, LinesLongerThanTheBufferStayWhole) {
  const std::string text = std::string(200'000, 'x') + "\n" + std::string(65'536, 'y') + "\nz";
  TextReader reader(write("a.txt.xz", xz(text)));
  std::string line;
  ASSERT_TRUE(reader.next_line(line));
  EXPECT_EQ(line, std::string(200'000, 'x'));
  ASSERT_TRUE(reader.next_line(line));
  EXPECT_EQ(line, std::string(65'536, 'y'));
  EXPECT_EQ(reader.rest(), "z");
  EXPECT_FALSE(reader.next_line(line));
}

TEST_F(TextReaderTest, ByteOrderMarkIsDropped) {
  EXPECT_EQ(TextReader(write("a.txt", "\xEF\xBB\xBFtext")).rest(), "text");
}

TEST_F(TextReaderTest, FewBytesThatAreNotUtf8AreKept) {
  const std::string text = "caf\xE9 au lait, caf\xE9 noir";
  EXPECT_EQ(TextReader(write("a.txt", text)).rest(), text);
}

TEST_F(TextReaderTest, SequenceCutAtTheEndOfTheHeadIsNoFault) {
  std::string text = "a";
  while (text.size() < 100'000) text += "\xF0\x9F\x98\x80";
  EXPECT_EQ(TextReader(write("a.txt", text)).rest(), text);
}

TEST_F(TextReaderTest, BinaryFilesAreRefusedWithTheOffset) {
  EXPECT_TRUE(
      contains(refusal("text\0more"s), "file.txt is not a text file: NUL byte at offset 4"));
  const std::string latin = "abc\xE9\xE8\xE9\xE8";
  EXPECT_TRUE(
      contains(refusal(latin), "4 of its first 7 bytes are not UTF-8, the first at offset 3"));
  EXPECT_TRUE(contains(refusal("\xED\xA0\x80\xC0\x80\xF5"), "are not UTF-8"));
  EXPECT_TRUE(contains(refusal(""), "file.txt is empty"));
}

TEST_F(TextReaderTest, LineLongerThanAllowedIsNamed) {
  TextReader reader(write("a.txt", "ok\n" + std::string(100, 'x')), {.max_record_bytes = 99});
  std::string line;
  ASSERT_TRUE(reader.next_line(line));
  EXPECT_TRUE(contains(message_of([&] { (void)reader.next_line(line); }),
                       "a.txt line 2 is longer than 99 bytes"));
}

}  // namespace
}  // namespace dsrasq::data
