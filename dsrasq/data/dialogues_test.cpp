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
      R"({"dialogue_id": "1_0", "services": ["Bus"], "turns": [
          {"speaker": "USER", "utterance": "A\n table "},
          {"speaker": "SYSTEM", "utterance": "Where?"}]})";
  const List want{"1_0: USER=A table / SYSTEM=Where? /"};
  EXPECT_EQ(read(first), want);
  EXPECT_EQ(read("[" + first + "]"), want);
  EXPECT_EQ(read(xz(first)), want);
}

TEST_F(Dialogues, TopicalChat) {
  EXPECT_EQ(read(R"({"t_1": {"article_url": "u", "content": [
                       {"message": "Hi", "agent": "agent_1"},
                       {"message": " ", "agent": "agent_2"},
                       {"message": "Hello", "agent": "agent_2"}]},
                     "t_2": {"article_url": "u", "content": [
                       {"message": "Alone", "agent": "agent_1"}]}})"),
            List{"t_1: agent_1=Hi / agent_2=Hello /"});
}

TEST_F(Dialogues, DailyDialog) {
  EXPECT_EQ(read("Hi . __eou__ Hello . __eou__ Bye . __eou__\t1\t2 2\n\nAlone . __eou__\n"),
            List{"file/1: A=Hi . / B=Hello . / A=Bye . /"});
}

TEST_F(Dialogues, WhatIsNoneIsRefused) {
  EXPECT_TRUE(contains(refusal("Hi there\n"), "file is text data and holds no dialogue"));
  EXPECT_TRUE(contains(refusal("A __eou__\n"), "is dailydialog data and holds no dialogue of two"));
  EXPECT_TRUE(contains(refusal(R"({"input": "a", "outputs": ["b"]})"), "file is ruler data"));
  EXPECT_TRUE(contains(refusal(R"({"dialogue_id": "1", "services": ["a"], "turns": [
      {"speaker": "A", "utterance": "a"}, {"speaker": "B"}]})"),
                       "utterance"));
}

}  // namespace
}  // namespace dsrasq::data
