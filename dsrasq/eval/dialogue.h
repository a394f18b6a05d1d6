#pragma once

// Dialogues joined to long streams, and how well the next turn is foretold far into one.

#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/data/dialogues.h"
#include "dsrasq/eval/stream_run.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::eval {

struct DialogueOptions {
  std::vector<std::string> data{};
  int64_t length = 8192;
  int64_t samples = 2;
  int64_t replies = 20;
  int64_t max_tokens = 48;
  std::string predictions{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data",
          "Schema-Guided Dialogue (JSON), Topical-Chat (JSON) or DailyDialog (text), also .xz");
    visit(length, "length", "tokens of a stream of joined dialogues, at least");
    visit(samples, "samples", "streams of each file, from its front");
    visit(replies, "replies",
          "turns to foretell in each stream, evenly spaced over its second half; 0: all of that");
    visit(max_tokens, "max-tokens", "most tokens of an answer");
    visit(predictions, "predictions",
          "a .jsonl file that gets every answer as it comes; a stopped run goes on from it");
  }
};

/// Streams of one file's dialogues in their order: "speaker: words" lines, an empty line between
/// dialogues. Foretold are turns of whoever does not speak first in a dialogue; the policy `alone`
/// reads the dialogue of the turn and none before. `task` is the questions' task, ids are
/// "DIALOGUE/TURN". Throws kInvalidArgument for a number out of range and where the dialogues do
/// not fill the streams.
std::vector<Stream> dialogue_streams(const std::vector<data::Dialogue>& dialogues,
                                     const std::string& task, const text::Tokenizer& tokenizer,
                                     const DialogueOptions& options);

}  // namespace dsrasq::eval
