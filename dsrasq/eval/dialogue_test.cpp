#include "dsrasq/eval/dialogue.h"

#include <gtest/gtest.h>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {
namespace {

std::vector<data::Dialogue> test_dialogues(int n) {
  std::vector<data::Dialogue> dialogues;
  for (int i = 0; i < n; ++i) {
    const std::string of = " of " + std::to_string(i);
    dialogues.push_back({"d" + std::to_string(i),
                         {{"U", "hello" + of}, {"S", "yes" + of}, {"U", "bye" + of}, {"S", "so"}}});
  }
  return dialogues;
}

class DialogueStreams : public testing::Test {
 protected:
  std::vector<Stream> build(const std::vector<data::Dialogue>& dialogues,
                            const DialogueOptions& options) const {
    return dialogue_streams(dialogues, "t", engine_.tokenizer(), options);
  }
  int64_t size(const std::string& text) const {
    return static_cast<int64_t>(engine_.tokenizer().encode(text).size());
  }
  const session::Engine engine_{{.model = "tests/golden/models/text", .adapter = "none"}};
};

TEST_F(DialogueStreams, RepliesOfTheSecondHalfAreAskedAndReadOn) {
  DialogueOptions options;
  options.length = 4 * size("U: hello of 0\nS: yes of 0\nU: bye of 0\nS: so\n\n") - 8;
  options.samples = 1;
  options.replies = 0;
  const Stream stream = build(test_dialogues(9), options)[0];
  ASSERT_EQ(stream.size(), 4u);  // two dialogues' replies: the second half of four dialogues
  std::string whole;
  for (const StreamStep& step : stream) {
    ASSERT_EQ(step.questions.size(), 1u);
    EXPECT_EQ(" " + step.questions[0].sample.references[0], step.reply);
    EXPECT_TRUE(step.text.ends_with("S:")) << step.text;
    whole += step.text + step.reply;
  }
  std::string want;
  for (int i = 0; i < 4; ++i)
    want += concat(i > 0 ? "\n" : "", "U: hello of ", i, "\nS: yes of ", i, "\nU: bye of ", i,
                   "\nS: so\n");
  EXPECT_EQ(whole + "\n", want);
  const StreamQuestion& last = stream[3].questions[0];
  EXPECT_EQ(last.sample.id, "d3/3");
  EXPECT_EQ(last.sample.task, "t");
  EXPECT_EQ(last.alone, "U: hello of 3\nS: yes of 3\nU: bye of 3\nS:");
}

TEST_F(DialogueStreams, FewerRepliesAreSpacedEvenly) {
  DialogueOptions options;
  options.length = 4 * size("U: hello of 0\nS: yes of 0\nU: bye of 0\nS: so\n\n") - 8;
  options.samples = 2;
  options.replies = 2;
  const std::vector<Stream> streams = build(test_dialogues(9), options);
  ASSERT_EQ(streams.size(), 2u);
  ASSERT_EQ(streams[1].size(), 2u);
  EXPECT_EQ(streams[1][0].questions[0].sample.id, "d6/1");
  EXPECT_EQ(streams[1][1].questions[0].sample.id, "d7/1");
  EXPECT_TRUE(streams[1][0].text.starts_with("U: hello of 4")) << "a stream of its own";
}

TEST_F(DialogueStreams, WhatCannotBeDoneIsRefused) {
  const auto refusal = [&](const DialogueOptions& options) {
    return error_text([&] { build(test_dialogues(3), options); }, ErrorCode::kInvalidArgument);
  };
  DialogueOptions options;
  EXPECT_HAS(refusal(options), "too few for 2 streams of 8192: give a smaller length");
  options.samples = 0;
  EXPECT_HAS(refusal(options), "samples is 0");
  options.samples = 1;
  options.replies = -1;
  EXPECT_HAS(refusal(options), "replies is -1");
  const std::vector<data::Dialogue> monologue{{"m", {{"U", "one"}, {"U", "two"}}}};
  options.replies = 1;
  options.length = 2;
  EXPECT_HAS(error_text([&] { build(monologue, options); }, ErrorCode::kInvalidArgument),
             "t has no reply in the second half");
}

}  // namespace
}  // namespace dsrasq::eval
