#include "dsrasq/data/stories.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

class Stories : public FilesTest {
 protected:
  std::string refusal(std::string_view bytes) {
    const std::string path = write("s.jsonl", bytes).string();
    return message_of([&] { read_stories({path}); });
  }
};

TEST_F(Stories, ComeByTimeWithTheirDay) {
  const auto late =
      write("a.jsonl", R"({"time": "1987-06-30T23:59", "title": "Late", "text": "x", "id": 7})"
                       "\n\n"
                       R"({"time": "1970-01-02", "title": "Early", "text": "y"})"
                       "\n"
                       R"({"time": "1987-01-01", "title": "No text", "text": " "})");
  const auto other = write(
      "b.jsonl.xz", xz(R"({"time": "1987-06-30T23:59", "title": "Same", "text": "z", "id": "8"})"));
  const std::vector<Story> stories = read_stories({late.string(), other.string()});
  ASSERT_EQ(stories.size(), 3u);
  EXPECT_EQ(stories[0].title, "Early");
  EXPECT_EQ(stories[0].day, 1);
  EXPECT_EQ(stories[0].id, late.string() + ":3");
  EXPECT_EQ(stories[1].id, "7");
  EXPECT_EQ(stories[2].id, "8");
  EXPECT_EQ(stories[2].day, 6389);
}

TEST_F(Stories, Reuters) {
  const auto path = write("reut2-000.sgm", R"(<!DOCTYPE lewis SYSTEM "lewis.dtd">
<REUTERS NEWID="5"><DATE>30-JUN-1987 12:00:00.50</DATE><TEXT>
<TITLE>RAIN &lt;R></TITLE><BODY>It rains.
    All day.</BODY></TEXT></REUTERS>
<REUTERS NEWID="6"><DATE>29-JUN-1987 12:00:00.00</DATE><TEXT TYPE="BRIEF">
<TITLE>NO MORE THAN A HEADLINE</TITLE></TEXT></REUTERS>
)");
  const std::vector<Story> stories = read_stories({path.string()});
  ASSERT_EQ(stories.size(), 1u);
  EXPECT_EQ(stories[0].id, "5");
  EXPECT_EQ(stories[0].title, "RAIN <R>");
  EXPECT_EQ(stories[0].text.substr(0, 10), "\nIt rains.");
  EXPECT_EQ(stories[0].day, 6389);
  const std::string text = write("plain.txt", "It rains.").string();
  EXPECT_TRUE(contains(message_of([&] { read_stories({text}); }), "plain.txt holds no story"));
}

TEST_F(Stories, WhatIsWrongIsNamed) {
  EXPECT_TRUE(contains(refusal(R"({"time": "30-JUN-1987", "title": "a", "text": "b"})"),
                       "want a time that begins with a date as 1987-06-30"));
  EXPECT_TRUE(contains(refusal(R"({"time": "1987-02-29", "title": "a", "text": "b"})"), "time"));
  EXPECT_TRUE(contains(refusal(R"({"time": "1987-02-28", "title": "a"})"), "text"));
  EXPECT_TRUE(contains(refusal("\n{\"time\": }"), "s.jsonl:2"));
  const std::string story = R"({"time": "1987-02-28", "title": "a", "text": "b", "id": "x"})";
  EXPECT_TRUE(contains(refusal(story + "\n" + story), "s.jsonl: a story with id x is there twice"));
  EXPECT_TRUE(contains(refusal(R"({"time": "1987-02-28", "title": "", "text": "b"})"),
                       "holds no story with a time, a title and a text"));
}

TEST_F(Stories, DaysOfOptions) {
  EXPECT_EQ(day_of("1970-02-01", "--from"), 31);
  try {
    day_of("June", "--from");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kInvalidArgument);
    EXPECT_TRUE(contains(e.what(), "--from is 'June'"));
  }
}

}  // namespace
}  // namespace dsrasq::data
