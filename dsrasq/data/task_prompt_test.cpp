#include "dsrasq/data/task_prompt.h"

#include "dsrasq/data/task_reader.h"
#include "dsrasq/data/test_files.h"

namespace dsrasq::data {
namespace {

std::string text_of(const TaskSample& sample, std::string_view option = "") {
  return prompt_text(task_prompt(sample.format), sample, option).text;
}

TEST(TaskPrompt, TheQuestionComesBehindTheDocuments) {
  const TaskSample sample{.format = TaskFormat::kSquad,
                          .documents = {{"Ann", "Ann is {question}.", true}, {"", "Bo sings."}},
                          .question = "Who {option}?"};
  const PromptText prompt = prompt_text(task_prompt(sample.format), sample, "x");
  EXPECT_EQ(prompt.text.substr(prompt.question_at), "Question: Who {option}?\nAnswer:");
  ASSERT_EQ(prompt.supporting.size(), 1u);
  EXPECT_EQ(prompt.text.substr(prompt.supporting[0].begin,
                               prompt.supporting[0].end - prompt.supporting[0].begin),
            "Passage 1: Ann\nAnn is {question}.\n\n");
}

TEST(TaskPrompt, AnswersAreReferencesOrJudgementsOfOptions) {
  TaskSample sample{.format = TaskFormat::kSquad, .references = {" Rome\n", "the city"}};
  ASSERT_EQ(task_answers(sample).size(), 2u);
  EXPECT_EQ(task_answers(sample)[0].text, "Rome");
  sample = {.format = TaskFormat::kMultiRc, .options = {{"a", true}, {" ", true}, {"b ", false}}};
  const auto judged = task_answers(sample);
  ASSERT_EQ(judged.size(), 2u);  // an empty option cannot be judged
  EXPECT_EQ(judged[0].option + judged[0].text, "ayes");
  EXPECT_EQ(judged[1].option + judged[1].text, "bno");
  EXPECT_TRUE(task_answers({}).empty());
}

TEST(TaskPrompt, AnAnswerBeginsAWord) {
  EXPECT_EQ(answer_behind("Answer:", "Rome"), " Rome");
  EXPECT_EQ(answer_behind("Say it.\n", "Rome"), "Rome");
  EXPECT_EQ(answer_behind("", "Rome"), " Rome");
}

class TrainingFormatsTest : public FilesTest {
 protected:
  std::vector<TaskSample> read(std::string_view bytes) {
    TaskReader reader({write("data.jsonl", bytes).string()}, "auto");
    std::vector<TaskSample> samples;
    while (auto sample = reader.next()) samples.push_back(std::move(*sample));
    return samples;
  }
};

TEST_F(TrainingFormatsTest, InstructionsUnderBothNames) {
  for (const char* record : {R"({"source": "s", "prompt": "Add 1 and 2.", "completion": "3"})",
                             R"({"inputs": "Add 1 and 2.", "targets": "3"})"}) {
    const auto samples = read(record);
    ASSERT_EQ(samples.size(), 1u) << record;
    EXPECT_EQ(text_of(samples[0]), "Add 1 and 2.\n");
    EXPECT_EQ(samples[0].references, std::vector<std::string>{"3"});
  }
  // Published sets have empty completions.
  EXPECT_EQ(read("{\"inputs\": \"a\", \"targets\": \" \"}\n"
                 "{\"inputs\": \"b\", \"targets\": \"c\"}")[0]
                .id,
            "2");
  EXPECT_TRUE(contains(message_of([&] { read(R"({"inputs": "a", "targets": " "})"); }),
                       "holds no question"));
}

TEST_F(TrainingFormatsTest, EveryReplyOfADialogueIsASample) {
  const auto samples = read(
      R"({"dialogue_id": "1_0", "turns": [{"speaker": "USER", "utterance": "Hi."},)"
      R"({"speaker": "SYSTEM", "utterance": "Hello."}, {"speaker": "USER", "utterance": "Food?"},)"
      R"({"speaker": "SYSTEM", "utterance": "Where?"}]})");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(samples[1].id, "1_0/3");
  EXPECT_EQ(text_of(samples[1]), "USER: Hi.\nSYSTEM: Hello.\nUSER: Food?\nSYSTEM:");
  EXPECT_EQ(samples[1].references, std::vector<std::string>{"Where?"});
  EXPECT_TRUE(
      contains(message_of([&] { read(R"({"turns": [{"speaker": "A", "utterance": "Hi."}]})"); }),
               "turns has fewer than two turns"));
}

}  // namespace
}  // namespace dsrasq::data
