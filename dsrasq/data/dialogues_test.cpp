#include "dsrasq/data/dialogues.h"

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

class Dialogues : public FilesTest {
 protected:
  // "id: speaker=words / speaker=words" of every dialogue.
  std::vector<std::string> read(std::string_view bytes) {
    std::vector<std::string> shown;
    for (const Dialogue& dialogue : read_dialogues(write("file", bytes))) {
      shown.push_back(dialogue.id + ':');
      for (const DialogueTurn& turn : dialogue.turns)
        shown.back() += " " + turn.speaker + "=" + turn.words + " /";
    }
    return shown;
  }
  std::string refusal(std::string_view bytes) {
    return message_of([&] { read(bytes); });
  }
  using List = std::vector<std::string>;
};

TEST_F(Dialogues, SchemaGuidedLinesAndArrays) {
  const std::string first =
      R"({"dialogue_id": "1_0", "turns": [{"speaker": "USER", "utterance": "A\n table "},
          {"speaker": "SYSTEM", "utterance": "Where?"}]})";
  const List want{"1_0: USER=A table / SYSTEM=Where? /"};
  EXPECT_EQ(read(first + "\n" + R"({"turns": [{"speaker": "USER", "utterance": "Bye"}]})"), want);
  EXPECT_EQ(read("[" + first + "]"), want);
  EXPECT_EQ(read(xz(first)), want);
}

TEST_F(Dialogues, TopicalChat) {
  EXPECT_EQ(read(R"({"t_1": {"config": "B", "content": [
                       {"message": "Hi", "agent": "agent_1"},
                       {"message": " ", "agent": "agent_2"},
                       {"message": "Hello", "agent": "agent_2"}]},
                     "t_2": {"content": []}})"),
            List{"t_1: agent_1=Hi / agent_2=Hello /"});
}

TEST_F(Dialogues, DailyDialog) {
  EXPECT_EQ(read("Hi . __eou__ Hello . __eou__ Bye . __eou__\t1\t2 2\n\nAlone . __eou__\n"
                 "One __eou__ Two"),
            (List{"1: A=Hi . / B=Hello . / A=Bye . /", "3: A=One / B=Two /"}));
}

TEST_F(Dialogues, WhatIsNoneIsRefused) {
  EXPECT_TRUE(contains(refusal("Hi there\n"), "file line 1 has no __eou__"));
  EXPECT_TRUE(contains(refusal("A __eou__"), "holds no dialogue of two turns"));
  EXPECT_TRUE(contains(refusal(R"({"question": "Who?"})"), "lacks \"turns\""));
  EXPECT_TRUE(contains(refusal(R"({"question": "Who?"})"), "record 1"));
  EXPECT_TRUE(contains(refusal(R"({"turns": [{"speaker": "A"}]})"), "utterance"));
  EXPECT_TRUE(contains(refusal(R"({"t": {"content": [{"agent": "a", "message": 3}]}})"),
                       "t.content[0].message"));
}

}  // namespace
}  // namespace dsrasq::data
