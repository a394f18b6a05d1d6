#pragma once

// Choosing the next token from logits. The steps run in the order that llama.cpp and transformers
// users expect: repetition penalty, temperature, top-k, top-p, min-p, then one random number.

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::model {

struct SamplingConfig {
  double temperature = 0.0;     ///< 0 picks the largest logit after the penalty
  int64_t top_k = 0;            ///< keep the k most likely tokens; 0 keeps all
  double top_p = 1.0;           ///< keep the fewest tokens whose probabilities reach p; 1 keeps all
  double min_p = 0.0;           ///< drop tokens less likely than min_p times the likeliest
  double repeat_penalty = 1.0;  ///< CTRL (Keskar 2019): positive logits / it, negative ones * it
  int64_t repeat_last_n = 64;   ///< how many of the last observed tokens are penalised, each once
  uint64_t seed = 0;
};

/// A token that may be drawn and its probability.
struct Candidate {
  int32_t token = 0;
  double probability = 0;
};

/// Draws tokens for one sequence. Two samplers with equal configuration and state that see equal
/// logits draw equal tokens, on every machine whose `exp` agrees.
class Sampler {
 public:
  /// Throws kInvalidArgument, naming the option, when one is out of its range.
  explicit Sampler(SamplingConfig config);

  /// Picks a token from logits `[V]`; of equally good tokens the lower id. Minus infinity means
  /// "never". Throws kInternal, naming the token, at NaN or plus infinity, and when nothing is
  /// left.
  int32_t sample(std::span<const float> logits);

  /// What `sample` draws from, best first, probabilities adding up to 1; one candidate with
  /// temperature 0. Draws nothing itself.
  std::vector<Candidate> distribution(std::span<const float> logits) const;

  /// Adds a token of the prompt or of the answer to the penalty's history.
  void observe(int32_t token);

  /// The generator's state and the history, as one line of text. The configuration is not in it.
  std::string save_state() const;
  /// Continues where the saved sampler stood, bit for bit. Throws kBadInput when `state` is not
  /// what `save_state` writes, or holds a token that is not one of `vocab_size`.
  void load_state(std::string_view state, int64_t vocab_size);

 private:
  std::vector<Candidate> scores(std::span<const float> logits) const;
  double next_uniform();

  SamplingConfig config_;
  std::array<uint64_t, 4> generator_{};  // xoshiro256**
  std::deque<int32_t> history_;
};

}  // namespace dsrasq::model
