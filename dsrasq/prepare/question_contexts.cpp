#include "dsrasq/prepare/question_contexts.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/task_reader.h"
#include "dsrasq/prepare/dataset_kind.h"

namespace dsrasq::prepare {
namespace {

using data::TaskAnswer;
using data::TaskDocument;
using data::TaskSample;
using train::CounterRng;
using train::TokenRange;

constexpr const char* kInQuestions = "prepare.question_contexts";
constexpr size_t kMisses = 64;  // passages that do not fit before a round ends
constexpr int kRounds = 3;      // of filling what the estimates left free
// Streams of the random numbers of a sample.
constexpr uint64_t kAnswerStream = 1, kPassageStream = 2, kPlaceStream = 3;

// The numbers below n once each, in an order that looks random and takes no memory.
class Walk {
 public:
  Walk(int64_t n, CounterRng& rng) : n_(n) {
    at_ = rng.below(n);
    do step_ = rng.between(1, n);
    while (std::gcd(step_, n) != 1);
  }
  std::optional<size_t> next() {
    if (n_taken_ == n_) return std::nullopt;
    ++n_taken_;
    at_ = (at_ + step_) % n_;
    return static_cast<size_t>(at_);
  }
  bool is_done() const { return n_taken_ == n_; }

 private:
  int64_t n_, at_ = 0, step_ = 1, n_taken_ = 0;
};

// The tokens that bytes [begin, end) of a text lie in.
TokenRange tokens_of(const std::vector<text::TokenSpan>& spans, size_t begin, size_t end) {
  const auto first = std::partition_point(spans.begin(), spans.end(),
                                          [&](const auto& span) { return span.end <= begin; });
  const auto last =
      std::partition_point(first, spans.end(), [&](const auto& span) { return span.begin < end; });
  return {first - spans.begin(), last - spans.begin()};
}

std::string name_of(const TaskSample& sample) { return concat(sample.task, '/', sample.id); }

}  // namespace

QuestionContexts::QuestionContexts(std::vector<TaskSample> samples, TextEncoder encoder,
                                   const QuestionOptions& options)
    : samples_(std::move(samples)), encoder_(std::move(encoder)), options_(options) {
  for (TaskSample& sample : samples_) mark_gold(sample);
  if (options_.length > 0) collect_passages();
}

void QuestionContexts::mark_gold(TaskSample& sample) const {
  const auto is_gold = [](const TaskDocument& document) { return document.is_supporting; };
  const std::string_view format = data::task_format_name(sample.format);
  if (!has_passages(format)) return;
  if (sample.documents.size() == 1) sample.documents[0].is_supporting = true;
  const bool has_gold = std::any_of(sample.documents.begin(), sample.documents.end(), is_gold);
  DSRASQ_CHECK(has_gold || !options_.needs_gold, kBadInput, kInQuestions, "sample ",
               name_of(sample), " has no gold passage: none of its ", sample.documents.size(),
               " passages is marked as the one that the answer stands in (", format, ")");
}

int64_t QuestionContexts::passage_tokens(const TaskDocument& document) const {
  constexpr size_t kLargeNumber = 1000;
  return static_cast<int64_t>(
      encoder_.encode(data::shown_document(data::DocumentLayout::kPassages, document, kLargeNumber))
          .size());
}

void QuestionContexts::collect_passages() {
  std::unordered_set<std::string_view> seen;
  for (const TaskSample& sample : samples_) {
    DSRASQ_CHECK(has_passages(data::task_format_name(sample.format)), kInvalidArgument,
                 kInQuestions, "--length ", options_.length, ": contexts of ",
                 data::task_format_name(sample.format),
                 " data cannot be grown; want hotpotqa, musique, nq, squad or multirc data, or 0");
    for (const TaskDocument& document : sample.documents)
      if (seen.insert(document.text).second) passages_.push_back({&document, 0});
  }
  parallel_for(static_cast<int64_t>(passages_.size()), 64, [&](int64_t begin, int64_t end) {
    check_interrupt();
    for (int64_t i = begin; i < end; ++i) {
      Passage& passage = passages_[static_cast<size_t>(i)];
      passage.tokens = passage_tokens(*passage.document);
    }
  });
  int64_t total = 0;
  for (const Passage& passage : passages_) {
    total += passage.tokens;
    longest_ = std::max(longest_, passage.tokens);
  }
  DSRASQ_CHECK(total >= options_.length, kBadInput, kInQuestions, "the data's ", passages_.size(),
               " different passages have about ", total, " tokens together, fewer than --length ",
               options_.length);
}

data::TaskPrompt QuestionContexts::wording(const TaskSample& sample) const {
  data::TaskPrompt prompt = data::task_prompt(sample.format);
  // A single passage becomes one of many.
  if (options_.length > 0) prompt.layout = data::DocumentLayout::kPassages;
  // LongBench has wordings of its own, to evaluate with.
  if (sample.format == data::TaskFormat::kLongBench)
    prompt.after = sample.question.empty() ? "\n\nAnswer:" : "\n\nQuestion: {question}\nAnswer:";
  return prompt;
}

QuestionText QuestionContexts::encode(const TaskSample& sample, const TaskAnswer& answer) const {
  const data::PromptText prompt = data::prompt_text(wording(sample), sample, answer.option);
  const std::vector<text::TokenSpan> spans = encoder_.encode(prompt.text);
  QuestionText out{.said = answer, .n_passages = static_cast<int64_t>(sample.documents.size())};
  for (const text::TokenSpan& span : spans) out.ids.push_back(span.id);
  for (const data::PromptText::Part& part : prompt.supporting)
    out.gold.push_back(tokens_of(spans, part.begin, part.end));
  for (const TaskDocument& document : sample.documents)
    if (document.is_supporting) out.gold_titles.push_back(document.title);
  out.question = tokens_of(spans, prompt.question_at, prompt.text.size());
  const std::string said = data::answer_behind(prompt.text, answer.text);
  out.answer.begin = static_cast<int64_t>(out.ids.size());
  for (const text::TokenSpan& span : encoder_.encode(said + (encoder_.end ? "" : "\n")))
    out.ids.push_back(span.id);
  if (encoder_.end) out.ids.push_back(*encoder_.end);
  out.answer.end = static_cast<int64_t>(out.ids.size());
  return out;
}

/// One sample's context while it is filled.
class QuestionContexts::Growth {
 public:
  Growth(const QuestionContexts& all, size_t index, const TaskAnswer& answer)
      : all_(all),
        index_(index),
        answer_(answer),
        own_(all.samples_[index].documents),
        rng_(all.options_.seed, index, kPassageStream),
        walk_(static_cast<int64_t>(all.passages_.size()), rng_) {}

  QuestionText fill() {
    keep_own();
    for (const TaskDocument& document : own_) {
      texts_.insert(document.text);
      if (document.is_supporting && !document.title.empty()) titles_.insert(document.title);
    }
    QuestionText text = encode();
    for (int round = 0; round < kRounds && room(text) > 0 && !is_exhausted(); ++round) {
      add(room(text));
      text = encode();
    }
    while (room(text) < 0 && !added_.empty()) {  // where passages take more than by themselves
      added_.pop_back();
      text = encode();
    }
    const TaskSample& sample = all_.samples_[index_];
    DSRASQ_CHECK(room(text) >= 0 && (room(text) <= all_.longest_ || !is_exhausted()), kBadInput,
                 kInQuestions, "sample ", name_of(sample), ": the data has passages for ",
                 text.ids.size(), " tokens only, want --length ", all_.options_.length);
    return text;
  }

 private:
  int64_t room(const QuestionText& text) const {
    return all_.options_.length - static_cast<int64_t>(text.ids.size());
  }

  // Gold passages all, the others while they fit.
  void keep_own() {
    std::vector<TaskDocument> gold = own_;
    std::erase_if(gold, [](const TaskDocument& document) { return !document.is_supporting; });
    TaskSample bare = all_.samples_[index_];
    bare.documents = gold;
    const QuestionText text = all_.encode(bare, answer_);
    int64_t left = room(text);
    DSRASQ_CHECK(left >= 0, kBadInput, kInQuestions, "sample ", name_of(bare),
                 ": its gold passages, question and answer have ", text.ids.size(),
                 " tokens, more than --length ", all_.options_.length);
    std::erase_if(own_, [&](const TaskDocument& document) {
      if (document.is_supporting) return false;
      const int64_t tokens = all_.passage_tokens(document);
      if (tokens > left) return true;
      left -= tokens;
      return false;
    });
  }

  // First what did not fit into an earlier round's estimate.
  void add(int64_t left) {
    const auto add_one = [&](const Passage& passage) {
      if (passage.tokens > left) return skipped_.push_back(&passage);
      left -= passage.tokens;
      added_.push_back(passage.document);
    };
    for (const Passage* passage : std::exchange(skipped_, {})) add_one(*passage);
    const size_t most_skipped = skipped_.size() + kMisses;
    while (skipped_.size() < most_skipped) {
      const auto i = walk_.next();
      if (!i) return;
      const TaskDocument& document = *all_.passages_[*i].document;
      if (!texts_.contains(document.text) && !titles_.contains(document.title))
        add_one(all_.passages_[*i]);
    }
  }

  bool is_exhausted() const { return walk_.is_done() && skipped_.empty(); }

  // Own passages in their order, the others around them.
  QuestionText encode() const {
    CounterRng rng(all_.options_.seed, index_, kPlaceStream);
    TaskSample sample = all_.samples_[index_];
    sample.documents.clear();
    size_t n_own = 0, n_added = 0;
    while (n_own < own_.size() || n_added < added_.size()) {
      const auto left = static_cast<int64_t>(own_.size() - n_own);
      const auto others = static_cast<int64_t>(added_.size() - n_added);
      if (rng.below(left + others) < left) {
        sample.documents.push_back(own_[n_own++]);
      } else {
        sample.documents.push_back(*added_[n_added++]);
        sample.documents.back().is_supporting = false;
      }
    }
    return all_.encode(sample, answer_);
  }

  const QuestionContexts& all_;
  size_t index_;
  const TaskAnswer& answer_;
  std::vector<TaskDocument> own_;
  std::vector<const TaskDocument*> added_;
  std::vector<const Passage*> skipped_;                  // too long for what was left
  std::unordered_set<std::string_view> texts_, titles_;  // that may not come (again)
  CounterRng rng_;
  Walk walk_;
};

QuestionText QuestionContexts::make(size_t index) const {
  const TaskSample& sample = samples_[index];
  const std::vector<TaskAnswer> answers = data::task_answers(sample);
  DSRASQ_CHECK(!answers.empty(), kBadInput, kInQuestions, "sample ", name_of(sample),
               " has no answer with a text");
  CounterRng rng(options_.seed, index, kAnswerStream);
  const auto n_answers = static_cast<int64_t>(answers.size());
  const TaskAnswer& answer = answers[static_cast<size_t>(rng.below(n_answers))];
  return options_.length > 0 ? Growth(*this, index, answer).fill() : encode(sample, answer);
}

}  // namespace dsrasq::prepare
