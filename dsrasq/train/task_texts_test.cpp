#include "dsrasq/train/task_texts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::train {
namespace {

// A token a byte, so that stretches can be read.
std::vector<int32_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::string text_of(const std::vector<int32_t>& ids, TokenRange range) {
  return {ids.begin() + range.begin, ids.begin() + range.end};
}
std::string text_of(const std::vector<int32_t>& ids) {
  return text_of(ids, {0, static_cast<int64_t>(ids.size())});
}

size_t times(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

const char* const kHotpot = R"([
 {"_id": "1", "question": "Who sings?", "answer": "Bo", "supporting_facts": [["B", 0]],
  "context": [["A", ["Ann is tall."]], ["B", ["Bo sings."]]]},
 {"_id": "2", "question": "Who cooks?", "answer": "Cy", "supporting_facts": [["C", 0]],
  "context": [["C", ["Cy cooks."]], ["D", ["Di is from Ulm."]]]},
 {"_id": "3", "question": "Who rows?", "answer": "Ed", "supporting_facts": [["E", 0]],
  "context": [["E", ["Ed rows."]], ["F", ["Flo writes."]]]}])";

class TaskTextsTest : public FolderTest {
 protected:
  std::string file(const std::string& name, std::string_view bytes) {
    write_file(folder_ / name, bytes);
    return (folder_ / name).string();
  }
  TaskTexts tasks(std::string_view bytes, TaskTextOptions options = {.length = 400}) {
    return TaskTexts({file("data", bytes)}, bytes_of, options);
  }
  static RecallStretch stretch(const TaskTexts& tasks, int64_t n = 400, uint64_t step = 0) {
    CounterRng rng(7, step, 0);
    return tasks.training(std::vector<int32_t>(static_cast<size_t>(n), '.'), rng);
  }
  std::string refusal(std::string_view bytes, const TaskTextOptions& options = {.length = 400}) {
    return error_text([&] { tasks(bytes, options); }, ErrorCode::kBadInput);
  }
};

TEST_F(TaskTextsTest, PassagesStandAmongOthersAndTheAnswerEndsTheStretch) {
  const TaskTexts all = tasks(kHotpot);
  bool was_late = false, was_apart = false;
  for (uint64_t step = 0; step < 40; ++step) {
    const RecallStretch s = stretch(all, 400, step);
    ASSERT_EQ(s.ids.size(), 400u);
    const std::string text = text_of(s.ids);
    const bool sings = text.ends_with("Question: Who sings?\nAnswer: Bo\n");
    ASSERT_TRUE(sings || text.ends_with("Question: Who cooks?\nAnswer: Cy\n")) << text;
    EXPECT_TRUE(s.is_task);
    EXPECT_EQ(text_of(s.ids, {s.answer.front(), s.answer.back() + 1}), sings ? " Bo\n" : " Cy\n");
    EXPECT_EQ(s.answer.size(), 4u);
    // Each passage once, wherever it came from.
    for (const char* passage : {"Ann is", "Bo sings", "Cy cooks", "Di is"})
      EXPECT_LE(times(text, passage), 1u) << text;
    ASSERT_EQ(s.sources.size(), s.focus.size());
    const std::string source = text_of(s.ids, s.sources.front());
    EXPECT_TRUE(source.starts_with("Passage ")) << source;
    EXPECT_HAS(source, sings ? "Bo sings." : "Cy cooks.");
    // What predicts the answer's tokens, and the end of the question.
    EXPECT_EQ(s.focus.front(), s.answer.front() - 4);
    EXPECT_EQ(s.focus.back(), 398);
    was_late |= times(text, "Passage 3") == 1 && sings && text.find("A\nAnn") > text.find("Cy c");
    was_apart |= text.find("Question") - static_cast<size_t>(s.sources.front().end) > 20;
  }
  EXPECT_TRUE(was_late);
  EXPECT_TRUE(was_apart);
  EXPECT_EQ(stretch(all, 400, 5).ids, stretch(all, 400, 5).ids);
  EXPECT_NE(stretch(all, 400, 5).ids, stretch(all, 400, 6).ids);
}

TEST_F(TaskTextsTest, WhatDoesNotFitIsLeftOut) {
  // Room for the supporting passage alone.
  const TaskTexts all = tasks(kHotpot, {.length = 125, .prefix = 1});
  const std::string text = text_of(stretch(all, 125).ids);
  EXPECT_EQ(times(text, "Passage"), 1u) << text;
  EXPECT_EQ(text[0], '.');
  EXPECT_HAS(refusal(kHotpot, {.length = 90}),
             "none of its 3 samples fits into a stretch of 90 tokens (--length)");
  EXPECT_HAS(refusal(kHotpot, {.length = 4}), "the answer of sample 1 has 4 tokens");
}

TEST_F(TaskTextsTest, InstructionsAndDialoguesStayWhole) {
  const TaskTexts instructions =
      tasks(R"({"inputs": "Add 1 and 2.", "targets": " three "})", {.length = 60, .end = 3});
  EXPECT_TRUE(text_of(stretch(instructions, 60).ids).ends_with("...\n\nAdd 1 and 2.\nthree\x03"));
  const TaskTexts dialogue =
      tasks(R"({"turns": [{"speaker": "A", "utterance": "Hi."}, {"speaker": "B",)"
            R"( "utterance": "Ho."}]})");
  EXPECT_TRUE(text_of(stretch(dialogue).ids).ends_with("...\n\nA: Hi.\nB: Ho.\n"));
  EXPECT_FALSE(dialogue.has_held_out());
}

TEST_F(TaskTextsTest, OptionsAreJudgedWithYesAndNo) {
  const TaskTexts all =
      tasks(R"({"idx": 0, "passage": {"text": "It is red.", "questions": [{"idx": 0,)"
            R"( "question": "What?", "answers": [{"text": "red", "label": 1},)"
            R"( {"text": "", "label": 0}, {"text": "blue", "label": 0}]}]}})");
  bool yes = false, no = false;
  for (uint64_t step = 0; step < 20; ++step) {
    const std::string text = text_of(stretch(all, 400, step).ids);
    yes |= text.ends_with("Answer: red\nIs this answer right, yes or no? yes\n");
    no |= text.ends_with("Answer: blue\nIs this answer right, yes or no? no\n");
    EXPECT_EQ(times(text, "Answer: \n"), 0u);
  }
  EXPECT_TRUE(yes && no);
}

TEST_F(TaskTextsTest, HeldOutSamplesAreNeverTrainedOn) {
  std::string lines;
  for (int i = 0; i < 40; ++i)
    lines += R"({"inputs": "Say )" + std::to_string(i) + R"(.", "targets": "x"})" + "\n";
  const TaskTexts all = tasks(lines);
  for (uint64_t step = 0; step < 300; ++step)
    EXPECT_EQ(times(text_of(stretch(all, 400, step).ids), "Say 31."), 0u);
  CounterRng rng(0, 0, 0);
  EXPECT_HAS(text_of(all.held_out(std::vector<int32_t>(400, '.'), rng).ids), "Say 31.");
}

TEST_F(TaskTextsTest, SmallFilesAreDrawnAsOftenAsLargeOnes) {
  std::string large;
  for (int i = 0; i < 60; ++i) large.append(R"({"inputs": "Large.", "targets": "x"})").append("\n");
  const TaskTexts all(
      {file("large", large), file("small", R"({"inputs": "Small.", "targets": "x"})")}, bytes_of,
      {.length = 400});
  size_t n_small = 0;
  for (uint64_t step = 0; step < 100; ++step)
    n_small += times(text_of(stretch(all, 400, step).ids), "Small.");
  EXPECT_GT(n_small, 30u);
  EXPECT_LT(n_small, 70u);
}

TEST_F(TaskTextsTest, FilesThatEvaluateAreRefused) {
  EXPECT_HAS(refusal(R"({"index": 0, "input": "a", "outputs": ["b"]})"),
             "ruler data is there to evaluate with, not to train on");
  EXPECT_HAS(refusal(R"({"text": "a"})"), "is in no known format");
  EXPECT_NE(tasks(kHotpot).fingerprint(),
            tasks(R"({"inputs": "a", "targets": "b"})").fingerprint());
}

}  // namespace
}  // namespace dsrasq::train
