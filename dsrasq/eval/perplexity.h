#pragma once

// Perplexity of stretches of text under several policies, compared stretch by stretch.

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/statistics.h"
#include "dsrasq/eval/stretches.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct PerplexityOptions {
  std::vector<std::string> text{};  ///< files
  int64_t length = 8192;
  int64_t samples = 12;
  std::string shard{};
  std::vector<std::string> merge{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(text, "text", "files to score: .txt, .md or .jsonl(.xz) with one text a record");
    visit(length, "length", "tokens in a stretch");
    visit(samples, "samples", "stretches, each from the middle of a text or evenly spaced");
    visit(shard, "shard", "I/N: only every N-th stretch, from the I-th; results can be merged");
    visit(merge, "merge", "results of shards (JSON files) to put together, instead of running");
  }
};

/// What one policy made of one stretch. Sums of negative log-probabilities in nats.
struct StretchScore {
  int64_t sample = 0;
  std::string source{};
  std::string policy{};
  std::array<double, 4> quarter_nll{};  ///< by quarter of the stretch
  std::array<int64_t, 4> quarter_tokens{};
  double far_nll = 0;  ///< of positions from kFarPosition on
  int64_t far_tokens = 0;
  double kl = 0;       ///< from the first policy's predictions, summed over the same tokens
  double seconds = 0;  ///< of the reading
  double mean_retrieved = 0;
  uint64_t cache_bytes = 0;
  std::optional<double> cache_hit_rate{};  ///< policy::cache_hit_rate
};
constexpr int64_t kFarPosition = 2048;

/// Change of perplexity against the first policy in percent, with the 95 % bootstrap interval over
/// the stretches that both scored.
struct Change {
  double percent = 0;
  Interval interval;
  std::optional<double> far_percent;  ///< for positions from kFarPosition on
  Interval far_interval;
};

/// One policy over all stretches. Perplexities are exp of the mean over all scored tokens.
struct PolicyPerplexity {
  std::string policy;
  double perplexity = 0, nll = 0;  ///< nll: the mean
  Interval interval{};             ///< of the perplexity: 95 %, bootstrap over stretches
  int64_t samples = 0, tokens = 0;
  std::array<double, 4> quarters{};  ///< perplexity by quarter of the stretch
  std::optional<double> far{};       ///< perplexity from kFarPosition on
  double kl = 0;                     ///< KL(first policy || this one), mean over all tokens
  Interval kl_interval{};            ///< 95 %, bootstrap over stretches
  double mean_retrieved = 0, tokens_per_s = 0;
  uint64_t cache_bytes = 0;
  /// Mean over the stretches that have it.
  std::optional<double> cache_hit_rate{};
  std::optional<Change> change{};  ///< not for the first policy
};

/// Scores tokens 1 to N-1 of a stretch with the given policies.
std::vector<StretchScore> score_stretch(const session::Engine& engine, const Stretch& stretch,
                                        int64_t sample, const std::vector<NamedPolicy>& policies,
                                        const Progress& progress = nullptr);

/// Adds the log-probabilities of tokens 1 to N - 1 of a stretch of N to the sums of its score.
/// Throws kInternal naming the token whose is no number.
void add_logprobs(StretchScore& score, const at::Tensor& logprobs);

/// One line per policy, in the order in which they first appear.
std::vector<PolicyPerplexity> summarise(const std::vector<StretchScore>& scores);

/// `eval perplexity`: runs and summarises. `base.name` lists the policies (parse_policies). The
/// result has the first policy's `perplexity, nll, tokens, policy, mean_retrieved, cache_bytes`,
/// then `length`, `rows` (a line per policy) and `samples` (what can be merged).
nlohmann::ordered_json run_perplexity(const session::Engine& engine,
                                      const policy::PolicyOptions& base,
                                      const PerplexityOptions& options,
                                      const Progress& progress = nullptr);

/// That result, of the scores of stretches of `length` tokens.
nlohmann::ordered_json perplexity_result(const std::vector<StretchScore>& scores, int64_t length);

/// The result that the shards in `files` would have given in one run. Throws kBadInput naming the
/// file that is no such result, has another length or repeats a stretch.
nlohmann::ordered_json merge_perplexity(const std::vector<std::string>& files);

}  // namespace dsrasq::eval
