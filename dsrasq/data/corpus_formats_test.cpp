#include "dsrasq/data/corpus_formats.h"

#include <vector>

#include "dsrasq/data/test_archive.h"
#include "dsrasq/data/time_stamp.h"

namespace dsrasq::data {
namespace {

class CorpusFormatsTest : public FilesTest {
 protected:
  std::vector<CorpusRecord> read(OpenRecords open, const std::string& bytes) {
    const auto source = open(write("data", bytes), {});
    std::vector<CorpusRecord> records;
    while (auto record = source->next()) records.push_back(std::move(*record));
    return records;
  }
  std::string refusal(OpenRecords open, const std::string& bytes) {
    return message_of([&] { read(open, bytes); });
  }

  static std::string story(const std::string& id, const std::string& date,
                           const std::string& text) {
    return "<REUTERS TOPICS=\"YES\" NEWID=\"" + id + "\">\n<DATE>" + date +
           "</DATE>\n<UNKNOWN>&#5;&#5;C T</UNKNOWN>\n" + text + "\n</REUTERS>\n";
  }
  // A row whose column `at` (from 1) is `value`.
  static std::string row(size_t n_columns, std::vector<std::pair<size_t, std::string>> values) {
    std::string out;
    for (size_t i = 1; i <= n_columns; ++i) {
      for (const auto& [at, value] : values)
        if (at == i) out += value;
      out += i < n_columns ? "\t" : "\n";
    }
    return out;
  }
};

constexpr const char* kBody =
    "<TEXT>&#2;\n<TITLE>COCOA &lt;CCA></TITLE>\n<DATELINE> SALVADOR - </DATELINE><BODY>Caf\xE9 "
    "&amp; "
    "rain.\n    More.\n Reuter\n&#3;</BODY></TEXT>";

TEST_F(CorpusFormatsTest, ReutersIsLatin1WithEntitiesAndTimes) {
  const auto records = read(read_reuters, "<!DOCTYPE lewis SYSTEM \"lewis.dtd\">\n" +
                                              story("7", "26-FEB-1987 15:01:01.79", kBody));
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].id, "7");
  EXPECT_EQ(records[0].title, "COCOA <CCA>");
  EXPECT_EQ(records[0].text, "COCOA <CCA>\nCaf\xC3\xA9 & rain.\n    More.\n Reuter");
  EXPECT_EQ(iso_time(records[0].time_ms.value()), "1987-02-26T15:01:01.790");
}

TEST_F(CorpusFormatsTest, ReutersStoriesWithoutABodyAreTheirText) {
  const auto records =
      read(read_reuters, story("1", "1-MAR-1987 00:00:00.00",
                               "<TEXT TYPE=\"UNPROC\">&#2;\n M-1....736.7\n&#3;</TEXT>") +
                             story("2", "1-MAR-1987 00:00:00.00",
                                   "<TEXT TYPE=\"BRIEF\"><TITLE>IN BRIEF</TITLE></TEXT>") +
                             story("3", "1-MAR-1987 00:00:00.00", "<TEXT>&#2;\n&#3;</TEXT>"));
  ASSERT_EQ(records.size(), 2u);  // the last has no text
  EXPECT_EQ(records[0].text, " M-1....736.7");
  EXPECT_EQ(records[1].text, "IN BRIEF");
}

TEST_F(CorpusFormatsTest, ReutersArchivesAreReadInTheOrderOfTheirNames) {
  const std::string second = story("2", "1-MAR-1987 00:00:00.00", kBody);
  const std::string first = story("1", "1-MAR-1987 00:00:00.00", kBody);
  const auto records =
      read(read_reuters, xz(tar_member("r/b.sgm", second) + tar_member("r/README.txt", "about") +
                            tar_member("r/a.sgm", first)));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].id, "1");
  EXPECT_TRUE(contains(refusal(read_reuters, tar_member("a.txt", "a")), "data holds no .sgm file"));
}

TEST_F(CorpusFormatsTest, WrongReutersStoriesNameTheLineAndTheElement) {
  const std::string good = story("1", "1-MAR-1987 00:00:00.00", kBody);
  EXPECT_TRUE(contains(refusal(read_reuters, good + story("2", "yesterday", kBody)),
                       "line 11: the DATE of story 2 is \"yesterday\""));
  EXPECT_TRUE(contains(refusal(read_reuters, story("2", "1-MAR-1987 00:00:00.00", "")),
                       "line 1: story 2 has no TEXT"));
  EXPECT_TRUE(contains(refusal(read_reuters, story("", "1-MAR-1987 00:00:00.00", kBody)),
                       "the story has no NEWID"));
  EXPECT_TRUE(contains(refusal(read_reuters, "<REUTERS NEWID=\"1\">\n" + good),
                       "line 1: the story that begins here has no </REUTERS>"));
  EXPECT_TRUE(contains(refusal(read_reuters, "nothing"), "no <REUTERS> begins here"));
}

TEST_F(CorpusFormatsTest, GdeltRowsSayTheirFacts) {
  const auto events = read(read_gdelt_events, row(61, {{1, "410"},
                                                       {2, "20150218"},
                                                       {7, "POLICE"},
                                                       {17, "SCHOOL"},
                                                       {27, "043"},
                                                       {53, "Berlin, Germany"},
                                                       {60, "20150218230000"}}));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].id, "410");
  EXPECT_EQ(events[0].text,
            "Event 043 (CAMEO), 20150218\nActor: POLICE\nOther actor: SCHOOL\n"
            "Place: Berlin, Germany\n");
  EXPECT_EQ(iso_time(events[0].time_ms.value()), "2015-02-18T23:00:00.000");
  const auto graph =
      read(read_gdelt_gkg, row(27, {{1, "20150218230000-0"},
                                    {2, "20150218230000"},
                                    {4, "bbc.com"},
                                    {8, "TAX;WB_1;"},
                                    {10, "1#Germany#GM#GM#51#9#GM;1#Germany#GM#GM#51#9#GM"},
                                    {16, "-2.5,1,3"},
                                    {27, "<PAGE_TITLE>Rain</PAGE_TITLE>"}}));
  ASSERT_EQ(graph.size(), 1u);
  EXPECT_EQ(graph[0].text,
            "Title: Rain\nSource: bbc.com\nThemes: TAX, WB_1\nPlaces: Germany\nTone: -2.5\n");
}

TEST_F(CorpusFormatsTest, WrongGdeltRowsNameTheLineAndTheColumn) {
  const std::string good = row(27, {{1, "a"}, {2, "20150218230000"}, {4, "b"}});
  EXPECT_TRUE(contains(refusal(read_gdelt_gkg, good + row(26, {{1, "a"}})),
                       "data line 2 has 26 tab separated columns, want 27"));
  EXPECT_TRUE(contains(refusal(read_gdelt_gkg, good + row(27, {{1, "a"}, {2, "2015"}})),
                       "data line 2 column 2, V2.1DATE, is \"2015\""));
  EXPECT_TRUE(contains(refusal(read_gdelt_events, row(61, {{60, "20150218230000"}})),
                       "data line 1 column 1, GlobalEventID, is empty"));
}

TEST_F(CorpusFormatsTest, ServiceDialoguesAreLinesOfTheirService) {
  const std::string turns =
      R"("turns": [{"speaker": "USER", "utterance": "Hi."},
                   {"speaker": "SYSTEM", "utterance": "Yes?"}])";
  const auto records =
      read(read_service_dialogues,
           R"({"dialogue_id": "1_0", "services": ["Hotels_1", "Bus_2"], )" + turns + "}");
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].text, "USER: Hi.\nSYSTEM: Yes?\n");
  EXPECT_EQ(records[0].stream, "Hotels_1");
  EXPECT_TRUE(contains(refusal(read_service_dialogues, R"({"dialogue_id": "1_0", )" + turns + "}"),
                       "record 1 (line 1) lacks \"services\""));
}

TEST_F(CorpusFormatsTest, TopicalChatIsOneObjectOfConversations) {
  const auto records = read(read_topical_chat, R"({
      "t_b": {"article_url": "http://b", "content": [{"agent": "agent_1", "message": "Hi"}]},
      "t_a": {"article_url": "http://a", "content": [{"agent": "agent_2", "message": "Yo"}]}})");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].id + records[0].stream, "t_ahttp://a");
  EXPECT_EQ(records[1].text, "agent_1: Hi\n");
  EXPECT_TRUE(contains(refusal(read_topical_chat, R"({"t": {"article_url": "u", "content": []}})"),
                       "data: conversation t: content is empty"));
  EXPECT_TRUE(contains(refusal(read_topical_chat, R"({"t": {"content": [{"agent": "a"}]}})"),
                       "content[0] lacks \"message\""));
}

TEST_F(CorpusFormatsTest, DailyDialogHasADialogueALine) {
  const auto records = read(read_daily_dialog,
                            "Hi . __eou__ Yes ? __eou__ Bye . __eou__\t4\t1 2\t0 0\nHi __eou__\n");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].id, "data/1");
  EXPECT_EQ(records[0].text, "A: Hi .\nB: Yes ?\nA: Bye .\n");
  EXPECT_EQ(records[0].stream, "4");
  EXPECT_EQ(records[1].stream, "");
  EXPECT_TRUE(contains(refusal(read_daily_dialog, "Hi . __eou__ Yes ?\n"),
                       "data line 1: turn 2 has no __eou__ behind it"));
  EXPECT_TRUE(contains(refusal(read_daily_dialog, "Hi __eou__\nHi . __eou__ __eou__\n"),
                       "data line 2: turn 2 is empty"));
}

}  // namespace
}  // namespace dsrasq::data
