#include "dsrasq/train/task_texts.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/core/log.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/task_reader.h"

namespace dsrasq::train {
namespace {

using data::TaskAnswer;
using data::TaskDocument;
using data::TaskSample;

constexpr const char* kInTaskTexts = "train.task_texts";
constexpr int64_t kQuestionTail = 4;   // tokens: the end of a question already looks for the answer
constexpr int64_t kPassageMargin = 2;  // tokens that a passage may take more beside its neighbours
constexpr int64_t kTries = 64;         // at finding a passage that is not there yet
constexpr size_t kHoldOutEveryRecord = 32;

// Documents of which some can be left out and others put between.
bool has_passages(const TaskSample& sample) {
  return data::task_prompt(sample.format).layout == data::DocumentLayout::kPassages;
}

// Whether the question still makes sense far behind the documents.
bool can_be_apart(const TaskSample& sample) { return !sample.question.empty(); }

void check_trains(const TaskSample& sample, const std::string& path) {
  DSRASQ_CHECK(!data::only_evaluates(sample.format), kBadInput, kInTaskTexts, path, ": ",
               data::task_format_name(sample.format),
               " data is there to evaluate with, not to train on");
}

void append(std::vector<int32_t>& ids, std::span<const int32_t> more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

// Where the data set does not say in which documents the answer stands, it may be any.
void mark_supporting(std::vector<TaskDocument>& documents) {
  const auto supports = [](const TaskDocument& d) { return d.is_supporting; };
  if (std::any_of(documents.begin(), documents.end(), supports)) return;
  for (TaskDocument& document : documents) document.is_supporting = true;
}

void leave_out_distractors(std::vector<TaskDocument>& documents) {
  std::erase_if(documents, [](const TaskDocument& d) { return !d.is_supporting; });
}

void add_to(Fingerprint& hash, const TaskSample& sample) {
  const auto add = [&](const std::string& text) {
    hash.add(static_cast<uint64_t>(text.size()));
    hash.add(text);
  };
  add(std::string(data::task_format_name(sample.format)));
  for (const TaskDocument& document : sample.documents) {
    add(document.title);
    add(document.text);
    hash.add(static_cast<uint64_t>(document.is_supporting));
  }
  add(sample.question);
  add(sample.answer_start);
  for (const std::string& reference : sample.references) add(reference);
  for (const data::TaskOption& option : sample.options) {
    add(option.text);
    hash.add(static_cast<uint64_t>(option.is_right));
  }
}

}  // namespace

int64_t TaskTexts::Parts::size() const {
  return static_cast<int64_t>(documents.size() + question.size() + answer.size());
}

TaskTexts::TaskTexts(const std::vector<std::string>& paths, Encode encode,
                     const TaskTextOptions& options)
    : encode_(std::move(encode)), options_(options), gap_(encode_("\n\n")) {
  Fingerprint hash;
  hash.add(static_cast<uint64_t>(options_.length));  // which decides what is left out
  for (const std::string& path : paths) {
    int64_t n_taken = 0, n_left_out = 0;
    const size_t first = samples_.size();
    data::TaskReader reader({path}, "auto");
    while (auto sample = reader.next()) {
      check_interrupt();
      check_trains(*sample, path);
      add_to(hash, *sample);
      ++(add(std::move(*sample), path) ? n_taken : n_left_out);
    }
    DSRASQ_CHECK(n_taken > 0, kBadInput, kInTaskTexts, path, ": none of its ", n_left_out,
                 " samples fits into a stretch of ", options_.length, " tokens (--length)");
    if (n_left_out > 0)
      log(LogLevel::kInfo, concat(path, ": ", n_left_out, " of ", n_taken + n_left_out,
                                  " samples do not fit into a stretch and are left out"));
    split(first);
  }
  fingerprint_ = hash.hex();
}

// The samples from `first` on are a file's.
void TaskTexts::split(size_t first) {
  const size_t n = samples_.size() - first;
  std::vector<size_t> training, held_out;
  for (size_t i = 0; i < n; ++i) {
    const bool out = n > 1 && (i % kHoldOutEveryRecord == kHoldOutEveryRecord - 1 ||
                               (n < kHoldOutEveryRecord && i == n - 1));
    (out ? held_out : training).push_back(first + i);
  }
  training_.push_back(std::move(training));
  if (!held_out.empty()) held_out_.push_back(std::move(held_out));
}

size_t TaskTexts::draw(const std::vector<std::vector<size_t>>& files, CounterRng& rng) {
  const auto pick = [&](const auto& list) -> const auto& {
    return list[static_cast<size_t>(rng.below(static_cast<int64_t>(list.size())))];
  };
  return pick(pick(files));
}

bool TaskTexts::add(TaskSample sample, const std::string& path) {
  mark_supporting(sample.documents);
  TaskSample shortest = sample;
  if (has_passages(sample)) leave_out_distractors(shortest.documents);
  const int64_t room = options_.length - options_.prefix;
  const std::vector<TaskAnswer> answers = data::task_answers(sample);
  int64_t longest = answers.empty() ? room + 1 : 0;
  for (const TaskAnswer& answer : answers) {
    const Parts parts = encode(shortest, answer);
    DSRASQ_CHECK(static_cast<int64_t>(parts.answer.size()) < room, kBadInput, kInTaskTexts, path,
                 ": the answer of sample ", sample.id, " has ", parts.answer.size(),
                 " tokens, a stretch only ", options_.length, " (--length)");
    longest = std::max(longest, parts.size());
  }
  if (longest > room) return false;
  if (has_passages(sample)) with_passages_.push_back(samples_.size());
  samples_.push_back(std::move(sample));
  return true;
}

TaskTexts::Parts TaskTexts::encode(const TaskSample& sample, const TaskAnswer& answer) const {
  const data::PromptText prompt =
      data::prompt_text(data::task_prompt(sample.format), sample, answer.option);
  const std::string_view text = prompt.text;
  Parts parts;
  // Cut where supporting documents begin and end, so that their tokens are known.
  size_t done = 0;
  for (const data::PromptText::Part& part : prompt.supporting) {
    append(parts.documents, encode_(text.substr(done, part.begin - done)));
    if (parts.source.end == 0) parts.source.begin = static_cast<int64_t>(parts.documents.size());
    append(parts.documents, encode_(text.substr(part.begin, part.end - part.begin)));
    parts.source.end = static_cast<int64_t>(parts.documents.size());
    done = part.end;
  }
  append(parts.documents, encode_(text.substr(done, prompt.question_at - done)));
  parts.question = encode_(text.substr(prompt.question_at));
  parts.answer = encode_(data::answer_behind(text, answer.text) + (options_.end ? "" : "\n"));
  if (options_.end) parts.answer.push_back(*options_.end);
  return parts;
}

int64_t TaskTexts::passage_tokens(const TaskDocument& document) const {
  const std::string text = concat("Passage 100: ", document.title, '\n', document.text, "\n\n");
  return static_cast<int64_t>(encode_(text).size()) + kPassageMargin;
}

// Of the sample's own as many as fit, then others among them.
void TaskTexts::add_distractors(TaskSample& sample, int64_t room, CounterRng& rng) const {
  std::vector<TaskDocument>& documents = sample.documents;
  std::erase_if(documents, [&](const TaskDocument& document) {
    if (document.is_supporting) return false;
    const int64_t tokens = passage_tokens(document);
    if (tokens > room) return true;
    room -= tokens;
    return false;
  });
  const auto pick = [&](const auto& list) -> const auto& {
    return list[static_cast<size_t>(rng.below(static_cast<int64_t>(list.size())))];
  };
  for (int64_t tries = 0; tries < kTries;) {
    TaskDocument other = pick(samples_[pick(with_passages_)].documents);
    if (std::any_of(documents.begin(), documents.end(),
                    [&](const TaskDocument& d) { return d.text == other.text; })) {
      ++tries;
      continue;
    }
    room -= passage_tokens(other);
    if (room < 0) return;
    other.is_supporting = false;
    const int64_t place = rng.below(static_cast<int64_t>(documents.size()) + 1);
    documents.insert(documents.begin() + place, std::move(other));
  }
}

TaskTexts::Parts TaskTexts::encode_padded(const TaskSample& sample, const TaskAnswer& answer,
                                          int64_t room, CounterRng& rng) const {
  if (!has_passages(sample)) return encode(sample, answer);
  TaskSample bare = sample, padded = sample;
  leave_out_distractors(bare.documents);
  Parts shortest = encode(bare, answer);
  add_distractors(padded, room - shortest.size(), rng);
  Parts parts = encode(padded, answer);
  // Where the margins are too narrow for the tokenizer.
  return parts.size() > room ? shortest : parts;
}

RecallStretch TaskTexts::stretch(size_t index, const std::vector<int32_t>& text,
                                 CounterRng& rng) const {
  const TaskSample& sample = samples_[index];
  const std::vector<TaskAnswer> answers = data::task_answers(sample);
  const TaskAnswer& answer =
      answers[static_cast<size_t>(rng.below(static_cast<int64_t>(answers.size())))];
  const auto n = static_cast<int64_t>(text.size());
  const int64_t room = n - options_.prefix;
  const Parts parts = encode_padded(sample, answer, room, rng);
  const bool apart = can_be_apart(sample);
  const int64_t rest = room - parts.size() - static_cast<int64_t>(gap_.size()) * (apart ? 2 : 1);
  const bool has_gaps = rest > 0;
  const int64_t between = has_gaps && apart ? rng.below(rest + 1) : 0;
  const int64_t before = options_.prefix + (has_gaps ? rest - between : room - parts.size());
  const std::span<const int32_t> all(text);
  RecallStretch out;
  append(out.ids, all.first(static_cast<size_t>(before)));
  if (has_gaps) append(out.ids, gap_);
  const auto documents_at = static_cast<int64_t>(out.ids.size());
  append(out.ids, parts.documents);
  append(out.ids, all.subspan(static_cast<size_t>(before), static_cast<size_t>(between)));
  if (has_gaps && apart) append(out.ids, gap_);
  append(out.ids, parts.question);
  append(out.ids, parts.answer);
  out.is_task = true;
  out.answer.resize(parts.answer.size());
  std::iota(out.answer.begin(), out.answer.end(), n - static_cast<int64_t>(parts.answer.size()));
  const int64_t first = std::max<int64_t>(documents_at, out.answer.front() - kQuestionTail);
  for (int64_t i = first; i < n - 1; ++i) {
    out.focus.push_back(i);
    out.sources.push_back({documents_at + parts.source.begin, documents_at + parts.source.end});
  }
  return out;
}

RecallStretch TaskTexts::training(const std::vector<int32_t>& text, CounterRng& rng) const {
  return stretch(draw(training_, rng), text, rng);
}

RecallStretch TaskTexts::held_out(const std::vector<int32_t>& text, CounterRng& rng) const {
  return stretch(draw(held_out_, rng), text, rng);
}

}  // namespace dsrasq::train
