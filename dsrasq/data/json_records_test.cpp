#include "dsrasq/data/json_records.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

class JsonRecordsTest : public FilesTest {
 protected:
  std::vector<JsonRecord> read(std::string_view bytes, const ReadOptions& options = {}) {
    JsonRecordReader reader(write("a.json", bytes), options);
    std::vector<JsonRecord> records;
    while (auto record = reader.next()) records.push_back(std::move(*record));
    return records;
  }
  std::string refusal(std::string_view bytes, const ReadOptions& options = {}) {
    return message_of([&] { read(bytes, options); });
  }
};

TEST_F(JsonRecordsTest, LinesItemsAndOneObjectAreRecords) {
  const std::string one = R"({"a": "}]\"{", "b": [{}]})";
  for (const std::string& text : {one + "\n\n" + one + "\r\n", "[" + one + ",\n" + one + "]\n",
                                  "\n[ " + one + " ,\n" + one + " ] "}) {
    const auto records = read(text);
    ASSERT_EQ(records.size(), 2u) << text;
    EXPECT_EQ(records[0].text, one);
    EXPECT_EQ(records[1].text, one);
  }
  EXPECT_EQ(read("{\n\"a\":\n1}")[0].text, "{\n\"a\":\n1}");
}

TEST_F(JsonRecordsTest, PlacesNameRecordAndLine) {
  const auto records = read("{}\n\n{\n}\n{}\n");
  ASSERT_EQ(records.size(), 3u);
  EXPECT_TRUE(contains(records[1].place, "a.json record 2 (line 3)")) << records[1].place;
  EXPECT_TRUE(contains(records[2].place, "a.json record 3 (line 5)")) << records[2].place;
}

TEST_F(JsonRecordsTest, ARecordMayBeLongerThanABlock) {
  const std::string long_one = "{\"a\":\"" + std::string(200'000, 'x') + "\"}";
  const auto records = read(xz("[" + long_one + "," + long_one + "]"));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].text, long_one);
}

TEST_F(JsonRecordsTest, WhatIsNoListOfObjectsIsRefusedWithItsLine) {
  EXPECT_TRUE(contains(refusal("{}\nhello"), "is no list of JSON objects: \"h\" on line 2"));
  EXPECT_TRUE(contains(refusal("[{} {}]"), "\"{\" on line 1"));
  EXPECT_TRUE(contains(refusal("[{},]"), "\"]\" on line 1"));
  EXPECT_TRUE(contains(refusal("[{}]{}"), "\"{\" on line 1"));
  EXPECT_TRUE(contains(refusal("[[{}]]"), "\"[\" on line 1"));
  EXPECT_TRUE(contains(refusal("{}\n\xC3\xA4"), "byte 195 on line 2"));
  EXPECT_TRUE(contains(refusal("[]"), "holds no record"));
  EXPECT_TRUE(contains(refusal("\n \n"), "holds no record"));
}

TEST_F(JsonRecordsTest, CutAndOverlongFilesAreRefused) {
  EXPECT_TRUE(contains(refusal("[{}"), "a.json is cut off: its array has no end"));
  EXPECT_TRUE(contains(refusal("{}\n{\"a\": \"\\\"}"), "record 2 (line 2) is cut off"));
  ReadOptions options;
  options.max_record_bytes = 10;
  EXPECT_EQ(read("{\"a\":1234}", options).size(), 1u);
  EXPECT_TRUE(
      contains(refusal("{\"a\":12345}", options), "record 1 (line 1) is longer than 10 bytes"));
}

}  // namespace
}  // namespace dsrasq::data
