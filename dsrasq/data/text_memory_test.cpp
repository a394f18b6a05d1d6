#include "dsrasq/data/text_memory.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

class TextMemoryTest : public FilesTest {
 protected:
  // A file with nothing on the disk.
  std::filesystem::path file(const std::string& name, uint64_t size) {
    const std::filesystem::path path = write(name, "");
    std::filesystem::resize_file(path, size);
    return path;
  }
};

TEST_F(TextMemoryTest, PlainTextIsHeldWholeAndRecordsOneByOne) {
  const TextMemory plain = text_memory(file("a.txt", 4000));
  EXPECT_EQ(plain.all_texts, 4000u);
  EXPECT_EQ(plain.one_text, 4000u);
  EXPECT_EQ(plain.tokens, 4000u);  // one of 4 bytes for 4 bytes of text
  const TextMemory records = text_memory(file("a.jsonl", 4000));
  EXPECT_EQ(records.all_texts, 4000u);
  EXPECT_EQ(records.one_text, 0u);
  EXPECT_EQ(text_memory(file("a.jsonl.xz", 4000)).one_text, 0u);
}

TEST_F(TextMemoryTest, IsNothingWhereTheReadersRefuseOrTheSizeIsUnknown) {
  EXPECT_EQ(text_memory(file("long.txt", 5ull << 30)).tokens, 0u);
  EXPECT_EQ(text_memory("-").tokens, 0u);
  EXPECT_EQ(text_memory(folder_).tokens, 0u);
}

TEST_F(TextMemoryTest, TooLittleFreeMemorySaysHowMuchIsNeeded) {
  EXPECT_NO_THROW(check_free_memory(1, "a.txt"));
  try {
    check_free_memory(1ull << 60, "a.txt");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
    EXPECT_PRED2(contains, error.what(),
                 "a.txt takes about 1099511627776 MiB of memory as text and tokens, and ");
  }
}

}  // namespace
}  // namespace dsrasq::data
