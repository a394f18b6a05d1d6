#include "dsrasq/train/stretch_sampler.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInStretchSampler = "train.data";
constexpr int64_t kHoldOutEvery = 32;
// Streams of the random numbers; a step's batch counts up from the first.
constexpr uint64_t kTrainingStream = 1000, kHeldOutStream = 1, kHeldOutTaskStream = 2,
                   kLengthStream = 6;

}  // namespace

StretchSampler::StretchSampler(const TokenCache& cache, Encode encode,
                               const StretchOptions& options)
    : cache_(cache), encode_(std::move(encode)), options_(options) {
  const int64_t n = cache.n_documents();
  std::vector<bool> may_train;
  for (int64_t i = 0; i < n; ++i) {
    const bool out =
        n > 1 && (i % kHoldOutEvery == kHoldOutEvery - 1 || (n < kHoldOutEvery && i == n - 1));
    (out ? held_out_ : training_).push_back({cache.begin(i), cache.end(i)});
    may_train.push_back(!out);
  }
  if (n == 1) {
    Range& whole = training_.front();
    const int64_t cut = whole.end - std::max((whole.end - whole.begin) / 10, options.length);
    held_out_.push_back({std::max(cut, whole.begin), whole.end});
    whole.end = held_out_.front().begin;
  }
  check_length(training_, options.length, "length");
  check_length(held_out_, options.length, "length");
  if (options.long_share > 0) check_length(training_, options.long_length, "long-length");
  if (options.negatives == nullptr) return;
  negatives_.emplace(cache, *options.negatives,
                     HardNegativeOptions{.may_use = std::move(may_train),
                                         .prefix = options.prefix,
                                         .min_distance = options.recall.min_distance});
  negatives_->check(interruption(options.length));
  if (options.long_share > 0) negatives_->check(interruption(options.long_length));
}

void StretchSampler::check_length(const std::vector<Range>& ranges, int64_t length,
                                  const char* option) const {
  int64_t longest = 0;
  for (const Range& range : ranges) longest = std::max(longest, range.end - range.begin);
  DSRASQ_CHECK(longest >= length, kBadInput, kInStretchSampler, "--", option, " is ", length,
               " tokens, but the longest of the ", ranges.size(), " texts ",
               &ranges == &training_ ? "to train on" : "held out", " has ", longest);
}

std::vector<int32_t> StretchSampler::draw(const std::vector<Range>& ranges, int64_t length,
                                          CounterRng& rng) const {
  const auto prefix = static_cast<int64_t>(options_.prefix.size());
  const int64_t wanted = length - prefix;
  int64_t starts = 0;
  for (const Range& range : ranges)
    starts += std::max<int64_t>(0, range.end - range.begin - wanted + 1);
  int64_t chosen = rng.below(starts);
  std::vector<int32_t> ids = options_.prefix;
  for (const Range& range : ranges) {
    const int64_t here = std::max<int64_t>(0, range.end - range.begin - wanted + 1);
    if (chosen < here) {
      const std::vector<int32_t> text = cache_.read(range.begin + chosen, wanted);
      ids.insert(ids.end(), text.begin(), text.end());
      break;
    }
    chosen -= here;
  }
  return ids;
}

int64_t StretchSampler::training_length(int64_t step) const {
  CounterRng rng(options_.seed, static_cast<uint64_t>(step), kLengthStream);
  if (rng.uniform() >= options_.long_share) return options_.length;
  int64_t n_lengths = 1;
  while (options_.length << n_lengths < options_.long_length) ++n_lengths;
  return std::min(options_.length << rng.between(1, n_lengths), options_.long_length);
}

// A longer stretch has room for more details.
RecallOptions StretchSampler::recall_options(int64_t length) const {
  RecallOptions recall = options_.recall;
  const int64_t times = length / options_.length;
  recall.facts *= times, recall.echoes *= times;
  return recall;
}

Stretch StretchSampler::with_recall(const std::vector<int32_t>& ids, CounterRng& rng) const {
  return plant_recall(ids, encode_, recall_options(static_cast<int64_t>(ids.size())), rng);
}

InterruptionSizes StretchSampler::interruption(int64_t length) const {
  return {.length = length, .planted = planted_tokens(recall_options(length))};
}

// Details stand in the gold block, and are asked for where its document goes on.
Stretch StretchSampler::with_negatives(int64_t length, CounterRng& rng) const {
  const InterruptedText text = negatives_->draw(interruption(length), rng);
  RecallOptions recall = recall_options(length);
  recall.source = text.gold;
  recall.first_return = text.negatives.end;
  return plant_recall(text.ids, encode_, recall, rng);
}

Stretch StretchSampler::training(int64_t step, int64_t index) const {
  CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                 kTrainingStream + static_cast<uint64_t>(index));
  const int64_t length = training_length(step);
  const bool recall = rng.uniform() < options_.recall_share;
  const bool task = options_.tasks != nullptr && rng.uniform() < options_.task_share;
  const bool negatives = negatives_ && rng.uniform() < options_.negatives_share;
  if (negatives && !task) return with_negatives(length, rng);
  std::vector<int32_t> ids = draw(training_, length, rng);
  if (task) return options_.tasks->training(ids, rng);
  if (!recall) return {.ids = std::move(ids)};
  return with_recall(ids, rng);
}

std::optional<Stretch> StretchSampler::held_out_task(int64_t index) const {
  if (options_.tasks == nullptr || !options_.tasks->has_held_out()) return std::nullopt;
  CounterRng rng(options_.seed, static_cast<uint64_t>(index), kHeldOutTaskStream);
  const std::vector<int32_t> ids = draw(held_out_, options_.length, rng);
  return options_.tasks->held_out(ids, rng);
}

Stretch StretchSampler::held_out(int64_t index, bool recall) const {
  CounterRng rng(options_.seed, static_cast<uint64_t>(index), kHeldOutStream);
  std::vector<int32_t> ids = draw(held_out_, options_.length, rng);
  if (!recall) return {.ids = std::move(ids)};
  return with_recall(ids, rng);
}

std::vector<int64_t> sample_rows(int64_t first, int64_t end, int64_t n,
                                 const std::vector<int64_t>& focus, CounterRng& rng) {
  std::vector<int64_t> rows;
  if (end - first <= n) {
    for (int64_t i = first; i < end; ++i) rows.push_back(i);
    return rows;
  }
  std::unordered_set<int64_t> taken;
  std::vector<int64_t> wanted;
  for (int64_t i : focus)
    if (i >= first && i < end) wanted.push_back(i);
  for (int64_t i = 0; i < n / 2 && !wanted.empty(); ++i) {
    const int64_t at = rng.below(static_cast<int64_t>(wanted.size()));
    std::swap(wanted[static_cast<size_t>(at)], wanted.back());
    if (taken.insert(wanted.back()).second) rows.push_back(wanted.back());
    wanted.pop_back();
  }
  while (static_cast<int64_t>(rows.size()) < n) {
    const int64_t row = rng.between(first, end - 1);
    if (taken.insert(row).second) rows.push_back(row);
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace dsrasq::train
