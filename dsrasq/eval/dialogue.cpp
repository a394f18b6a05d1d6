#include "dsrasq/eval/dialogue.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInDialogue = "eval.dialogue";

// A turn that can be foretold, and the text around it.
struct Reply {
  std::string id, speaker, words;
  std::string before;       // what the stream says since the reply before it
  std::string alone;        // what its dialogue says before it
  int64_t first_token = 0;  // of the stream's tokens, about
};

class StreamBuilder {
 public:
  explicit StreamBuilder(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  void add(const data::Dialogue& dialogue) {
    if (n_tokens_ > 0) say("\n");
    std::string alone;
    for (size_t i = 0; i < dialogue.turns.size(); ++i) {
      const data::DialogueTurn& turn = dialogue.turns[i];
      say(turn.speaker + ":");
      alone += turn.speaker + ":";
      const std::string words = " " + turn.words;
      if (turn.speaker != dialogue.turns.front().speaker) {
        replies_.push_back({.id = concat(dialogue.id, '/', i),
                            .speaker = turn.speaker,
                            .words = words,
                            .before = std::exchange(before_, ""),
                            .alone = alone,
                            .first_token = n_tokens_});
        n_tokens_ += n_tokens_of(words);
      } else {
        say(words);
      }
      say("\n");
      alone += words + "\n";
    }
  }

  int64_t n_tokens() const { return n_tokens_; }
  /// Steps up to the last asked reply of `n` evenly spaced ones in the second half (0: all there).
  Stream stream(const std::string& task, int64_t n) const;

 private:
  int64_t n_tokens_of(const std::string& text) const {
    return static_cast<int64_t>(tokenizer_.encode(text).size());
  }
  void say(const std::string& text) {
    before_ += text;
    n_tokens_ += n_tokens_of(text);
  }

  const text::Tokenizer& tokenizer_;
  std::vector<Reply> replies_;
  std::string before_;  // said since the last reply
  int64_t n_tokens_ = 0;
};

Stream StreamBuilder::stream(const std::string& task, int64_t n) const {
  const auto first = static_cast<size_t>(
      std::partition_point(replies_.begin(), replies_.end(),
                           [&](const Reply& reply) { return 2 * reply.first_token < n_tokens_; }) -
      replies_.begin());
  const size_t n_late = replies_.size() - first;
  const size_t n_asked = n > 0 ? std::min(static_cast<size_t>(n), n_late) : n_late;
  std::set<size_t> asked;
  for (size_t i = 0; i < n_asked; ++i) asked.insert(first + i * n_late / n_asked);
  Stream stream;
  std::string text;
  for (size_t i = 0; i < replies_.size() && !asked.empty(); ++i) {
    const Reply& reply = replies_[i];
    text += reply.before;
    if (asked.erase(i) == 0) {
      text += reply.words;
      continue;
    }
    StreamStep step{.text = std::exchange(text, ""), .questions = {}, .reply = reply.words};
    StreamQuestion question;
    question.sample.task = task;
    question.sample.id = reply.id;
    question.sample.question = reply.speaker + ":";
    question.sample.references = {reply.words.substr(1)};
    question.alone = reply.alone;
    step.questions.push_back(std::move(question));
    stream.push_back(std::move(step));
  }
  return stream;
}

}  // namespace

std::vector<Stream> dialogue_streams(const std::vector<data::Dialogue>& dialogues,
                                     const std::string& task, const text::Tokenizer& tokenizer,
                                     const DialogueOptions& options) {
  const auto check_least = [](const char* name, int64_t value, int64_t least) {
    DSRASQ_CHECK(value >= least, kInvalidArgument, kInDialogue, name, " is ", value, ", want ",
                 least, " or more");
  };
  check_least("length", options.length, 1);
  check_least("samples", options.samples, 1);
  check_least("replies", options.replies, 0);
  std::vector<Stream> streams;
  std::optional<StreamBuilder> builder(std::in_place, tokenizer);
  int64_t n_tokens = 0;
  for (const data::Dialogue& dialogue : dialogues) {
    builder->add(dialogue);
    if (builder->n_tokens() < options.length) continue;
    n_tokens += builder->n_tokens();
    streams.push_back(builder->stream(task, options.replies));
    DSRASQ_CHECK(!streams.back().empty(), kInvalidArgument, kInDialogue, task, " has no reply in ",
                 "the second half of a stream of ", builder->n_tokens(), " tokens");
    if (static_cast<int64_t>(streams.size()) == options.samples) return streams;
    builder.emplace(tokenizer);
  }
  n_tokens += builder->n_tokens();
  throw Error(ErrorCode::kInvalidArgument, kInDialogue,
              concat(task, " has ", n_tokens, " tokens, too few for ", options.samples,
                     " streams of ", options.length, ": give a smaller length or fewer samples"));
}

}  // namespace dsrasq::eval
