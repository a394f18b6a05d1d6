#include "dsrasq/model/sampler.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::model {
namespace {

constexpr const char* kInSampler = "model.sampler";
constexpr std::string_view kStateName = "dsrasq-sampler-1";
constexpr int64_t kMaxHistory = 1 << 20;

void check_config(const SamplingConfig& c) {
  DSRASQ_CHECK(std::isfinite(c.temperature) && c.temperature >= 0, kInvalidArgument, kInSampler,
               "temperature is ", c.temperature, ", want 0 or more");
  DSRASQ_CHECK(c.top_k >= 0, kInvalidArgument, kInSampler, "top_k is ", c.top_k,
               ", want 0 or more");
  DSRASQ_CHECK(c.top_p > 0 && c.top_p <= 1, kInvalidArgument, kInSampler, "top_p is ", c.top_p,
               ", want more than 0 and at most 1");
  DSRASQ_CHECK(c.min_p >= 0 && c.min_p <= 1, kInvalidArgument, kInSampler, "min_p is ", c.min_p,
               ", want 0 to 1");
  DSRASQ_CHECK(std::isfinite(c.repeat_penalty) && c.repeat_penalty > 0, kInvalidArgument,
               kInSampler, "repeat_penalty is ", c.repeat_penalty, ", want more than 0");
  DSRASQ_CHECK(c.repeat_last_n >= 0 && c.repeat_last_n <= kMaxHistory, kInvalidArgument, kInSampler,
               "repeat_last_n is ", c.repeat_last_n, ", want 0 to ", kMaxHistory);
}

// SplitMix64, which turns any seed, 0 included, into a good state.
uint64_t split_mix(uint64_t& state) {
  uint64_t z = (state += 0x9E3779B97F4A7C15ull);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// A heap's "less": the best candidate, of equal ones the lower id, comes out first.
bool worse(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability < b.probability : a.token > b.token;
}

double sum(const std::vector<Candidate>& candidates) {
  double total = 0;
  for (const Candidate& c : candidates) total += c.probability;
  return total;
}

// The next word of `state`, which is cut off it.
std::string_view take_word(std::string_view& state) {
  const std::string_view word = state.substr(0, state.find(' '));
  state.remove_prefix(std::min(state.size(), word.size() + 1));
  return word;
}

template <class T>
T take_number(std::string_view& state, int base) {
  const std::string_view word = take_word(state);
  T value{};
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), value, base);
  DSRASQ_CHECK(code == std::errc() && end == word.data() + word.size(), kBadInput, kInSampler,
               "saved state holds '", word, "' where a number was expected");
  return value;
}

}  // namespace

Sampler::Sampler(SamplingConfig config) : config_(config) {
  check_config(config_);
  uint64_t state = config_.seed;
  for (uint64_t& word : generator_) word = split_mix(state);
}

// Blackman and Vigna's xoshiro256**; the top 53 bits make a double in [0, 1).
double Sampler::next_uniform() {
  auto& s = generator_;
  const uint64_t result = std::rotl(s[1] * 5, 7) * 9;
  const uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return static_cast<double>(result >> 11) * 0x1.0p-53;
}

// Checked logits after the penalty; `probability` holds the logit here.
std::vector<Candidate> Sampler::scores(std::span<const float> logits) const {
  DSRASQ_CHECK(!logits.empty(), kInternal, kInSampler, "there are no logits to sample from");
  std::vector<Candidate> all(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    DSRASQ_CHECK(!std::isnan(logits[i]) && logits[i] < std::numeric_limits<float>::infinity(),
                 kInternal, kInSampler, "the logit of token ", i, " is ", logits[i]);
    all[i] = {static_cast<int32_t>(i), logits[i]};
  }
  if (config_.repeat_penalty == 1.0) return all;
  std::vector<int32_t> seen(history_.begin(), history_.end());
  std::sort(seen.begin(), seen.end());
  seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
  for (const int32_t token : seen) {
    DSRASQ_CHECK(static_cast<size_t>(token) < all.size(), kInternal, kInSampler, "token ", token,
                 " was observed, but there are ", all.size(), " logits");
    double& logit = all[static_cast<size_t>(token)].probability;
    logit = logit > 0 ? logit / config_.repeat_penalty : logit * config_.repeat_penalty;
  }
  return all;
}

std::vector<Candidate> Sampler::distribution(std::span<const float> logits) const {
  std::vector<Candidate> heap = scores(logits);
  const Candidate best = *std::max_element(heap.begin(), heap.end(), worse);
  DSRASQ_CHECK(std::isfinite(best.probability), kInternal, kInSampler, "all of the ", heap.size(),
               " logits are minus infinity");
  if (config_.temperature == 0) return {{best.token, 1.0}};
  for (Candidate& c : heap) {
    c.probability = std::exp((c.probability - best.probability) / config_.temperature);
  }
  // A heap, since the few best of many tokens are wanted, and how many is not known before.
  std::make_heap(heap.begin(), heap.end(), worse);
  std::vector<Candidate> kept;
  const auto take_best = [&] {
    std::pop_heap(heap.begin(), heap.end(), worse);
    kept.push_back(heap.back());
    heap.pop_back();
  };
  double total = 0;
  const bool limited = config_.top_k > 0 && static_cast<size_t>(config_.top_k) < heap.size();
  if (limited) {
    while (kept.size() < static_cast<size_t>(config_.top_k)) take_best();
    total = sum(kept);
    heap = std::exchange(kept, {});  // sorted from the best down, which is a heap
  } else {
    total = sum(heap);
  }
  double before = 0;  // the mass of the tokens that are better than the next one
  while (!heap.empty() && (config_.top_p >= 1 || before < config_.top_p * total)) {
    const double probability = heap.front().probability;
    if (probability <= 0 || probability < config_.min_p) break;  // the best one has 1
    take_best();
    before += probability;
  }
  const double mass = sum(kept);
  for (Candidate& c : kept) c.probability /= mass;
  return kept;
}

int32_t Sampler::sample(std::span<const float> logits) {
  const std::vector<Candidate> candidates = distribution(logits);
  if (config_.temperature == 0) return candidates.front().token;
  double left = next_uniform();
  for (const Candidate& c : candidates) {
    left -= c.probability;
    if (left < 0) return c.token;
  }
  return candidates.back().token;  // rounding left a crumb
}

void Sampler::observe(int32_t token) {
  DSRASQ_CHECK(token >= 0, kInternal, kInSampler, "token ", token, " was observed");
  history_.push_back(token);
  while (history_.size() > static_cast<size_t>(config_.repeat_last_n)) history_.pop_front();
}

std::string Sampler::save_state() const {
  std::string state(kStateName);
  char digits[24];
  for (const uint64_t word : generator_) {
    const auto end = std::to_chars(digits, digits + sizeof digits, word, 16).ptr;
    state.append(" ").append(digits, end);
  }
  state += concat(' ', history_.size());
  for (const int32_t token : history_) state += concat(' ', token);
  return state;
}

void Sampler::load_state(std::string_view state, int64_t vocab_size) {
  DSRASQ_CHECK(take_word(state) == kStateName, kBadInput, kInSampler,
               "saved state does not begin with ", kStateName);
  std::array<uint64_t, 4> generator;
  for (uint64_t& word : generator) word = take_number<uint64_t>(state, 16);
  DSRASQ_CHECK(generator != (std::array<uint64_t, 4>{}), kBadInput, kInSampler,
               "saved state holds a generator of zeros");
  const auto n_tokens = take_number<int64_t>(state, 10);
  DSRASQ_CHECK(n_tokens >= 0 && n_tokens <= kMaxHistory, kBadInput, kInSampler,
               "saved state claims ", n_tokens, " tokens of history");
  std::deque<int32_t> history;
  for (int64_t i = 0; i < n_tokens; ++i) {
    history.push_back(take_number<int32_t>(state, 10));
    DSRASQ_CHECK(history.back() >= 0 && history.back() < vocab_size, kBadInput, kInSampler,
                 "saved state holds token ", history.back(), " of a vocabulary of ", vocab_size);
  }
  DSRASQ_CHECK(state.empty(), kBadInput, kInSampler, "saved state goes on after its ", n_tokens,
               " tokens of history");
  while (history.size() > static_cast<size_t>(config_.repeat_last_n)) history.pop_front();
  generator_ = generator;
  history_ = std::move(history);
}

}  // namespace dsrasq::model
