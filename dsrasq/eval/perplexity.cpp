#include "dsrasq/eval/perplexity.h"

#include <ATen/Functions.h>

#include <chrono>
#include <cmath>
#include <map>
#include <numeric>

#include "dsrasq/core/error.h"
#include "dsrasq/model/token_score.h"
#include "dsrasq/policy/cache_hits.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

double total_nll(const StretchScore& score) {
  return std::accumulate(score.quarter_nll.begin(), score.quarter_nll.end(), 0.0);
}

int64_t total_tokens(const StretchScore& score) {
  return std::accumulate(score.quarter_tokens.begin(), score.quarter_tokens.end(), int64_t{0});
}

double perplexity(double nll, int64_t tokens) {
  return tokens > 0 ? std::exp(nll / static_cast<double>(tokens)) : 0;
}

double percent(double log_ratio) { return 100 * std::expm1(log_ratio); }

std::vector<float> values_of(const at::Tensor& tensor) {
  const at::Tensor host = tensor.to(at::kCPU, at::kFloat).contiguous();
  const float* data = host.const_data_ptr<float>();
  return {data, data + host.numel()};
}

// Of sums over the drawn stretches' tokens.
template <class Sum>
Interval interval_of_mean(const std::vector<const StretchScore*>& scores, const Sum& sum) {
  return bootstrap(scores.size(), [&](std::span<const size_t> drawn) {
    double total = 0, tokens = 0;
    for (const size_t i : drawn) {
      total += sum(*scores[i]);
      tokens += static_cast<double>(total_tokens(*scores[i]));
    }
    return tokens > 0 ? total / tokens : 0;
  });
}

// Mean over the stretches that have a rate.
std::optional<double> mean_hit_rate(const std::vector<const StretchScore*>& scores) {
  std::vector<double> rates;
  for (const StretchScore* score : scores)
    if (score->cache_hit_rate) rates.push_back(*score->cache_hit_rate);
  return rates.empty() ? std::nullopt : std::optional(mean(rates));
}

// Sums over the stretches of one policy.
PolicyPerplexity add_up(const std::vector<const StretchScore*>& scores) {
  PolicyPerplexity sum{.policy = scores.front()->policy};
  double nll = 0, far_nll = 0, kl = 0, seconds = 0;
  int64_t far_tokens = 0;
  std::array<double, 4> quarter_nll{};
  std::array<int64_t, 4> quarter_tokens{};
  for (const StretchScore* score : scores) {
    nll += total_nll(*score);
    sum.tokens += total_tokens(*score);
    far_nll += score->far_nll;
    far_tokens += score->far_tokens;
    kl += score->kl;
    seconds += score->seconds;
    sum.mean_retrieved += score->mean_retrieved / static_cast<double>(scores.size());
    sum.cache_bytes = std::max(sum.cache_bytes, score->cache_bytes);
    for (size_t q = 0; q < 4; ++q) {
      quarter_nll[q] += score->quarter_nll[q];
      quarter_tokens[q] += score->quarter_tokens[q];
    }
  }
  sum.samples = static_cast<int64_t>(scores.size());
  sum.nll = sum.tokens > 0 ? nll / static_cast<double>(sum.tokens) : 0;
  if (sum.tokens > 0) sum.kl = kl / static_cast<double>(sum.tokens);
  sum.perplexity = perplexity(nll, sum.tokens);
  const Interval nll_interval = interval_of_mean(scores, total_nll);
  sum.interval = {std::exp(nll_interval.low), std::exp(nll_interval.high)};
  sum.kl_interval = interval_of_mean(scores, [](const StretchScore& score) { return score.kl; });
  sum.cache_hit_rate = mean_hit_rate(scores);
  for (size_t q = 0; q < 4; ++q) sum.quarters[q] = perplexity(quarter_nll[q], quarter_tokens[q]);
  if (far_tokens > 0) sum.far = perplexity(far_nll, far_tokens);
  if (seconds > 0) sum.tokens_per_s = static_cast<double>(sum.tokens) / seconds;
  return sum;
}

// Differences of the mean log-probability per stretch, whose lengths are equal.
std::optional<Change> compare(const std::vector<const StretchScore*>& base,
                              const std::vector<const StretchScore*>& scores) {
  std::map<int64_t, const StretchScore*> by_sample;
  for (const StretchScore* score : base) by_sample[score->sample] = score;
  std::vector<double> differences, far;
  for (const StretchScore* score : scores) {
    const auto found = by_sample.find(score->sample);
    if (found == by_sample.end()) continue;
    const auto per_token = [](double nll, int64_t n) { return nll / static_cast<double>(n); };
    differences.push_back(per_token(total_nll(*score), total_tokens(*score)) -
                          per_token(total_nll(*found->second), total_tokens(*found->second)));
    if (score->far_tokens > 0 && found->second->far_tokens > 0)
      far.push_back(per_token(score->far_nll, score->far_tokens) -
                    per_token(found->second->far_nll, found->second->far_tokens));
  }
  if (differences.empty()) return std::nullopt;
  const Interval interval = bootstrap_mean(differences);
  Change change{.percent = percent(mean(differences)),
                .interval = {percent(interval.low), percent(interval.high)},
                .far_percent = std::nullopt,
                .far_interval = {}};
  if (!far.empty()) {
    const Interval of_far = bootstrap_mean(far);
    change.far_percent = percent(mean(far));
    change.far_interval = {percent(of_far.low), percent(of_far.high)};
  }
  return change;
}

}  // namespace

void add_logprobs(StretchScore& score, const at::Tensor& logprobs) {
  const std::vector<float> values = values_of(logprobs);
  const auto n = static_cast<int64_t>(values.size()) + 1;
  for (size_t i = 0; i < values.size(); ++i) {
    DSRASQ_CHECK(std::isfinite(values[i]), kInternal, "eval.perplexity", "policy ", score.policy,
                 " gives token ", i + 1, " of ", score.source, " the log-probability ", values[i]);
    const auto position = static_cast<int64_t>(i) + 1;
    const auto quarter = static_cast<size_t>(4 * position / n);
    score.quarter_nll[quarter] -= values[i];
    ++score.quarter_tokens[quarter];
    if (position < kFarPosition) continue;
    score.far_nll -= values[i];
    ++score.far_tokens;
  }
}

std::vector<StretchScore> score_stretch(const session::Engine& engine, const Stretch& stretch,
                                        int64_t sample, const std::vector<NamedPolicy>& policies,
                                        const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  const auto n = static_cast<int64_t>(stretch.ids.size());
  const model::Transformer& model = engine.model();
  const at::Tensor ids = at::tensor(stretch.ids, at::kInt).to(at::kLong).to(model.device());
  std::vector<StretchScore> scores;
  at::Tensor reference;  // states under the first policy
  for (const NamedPolicy& named : policies) {
    session::Session session(engine, named.options);
    policy::count_hits(session.policy());
    const Clock::time_point start = Clock::now();
    const at::Tensor states = session.read_states(stretch.ids);
    StretchScore score{.sample = sample, .source = stretch.source, .policy = named.label};
    score.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const model::TokenScores tokens = model::token_scores(model, states, reference, ids);
    if (reference.defined()) score.kl = tokens.kl.narrow(0, 0, n - 1).sum().item<double>();
    if (!reference.defined()) reference = states;
    add_logprobs(score, tokens.log_probability.narrow(0, 0, n - 1));
    score.mean_retrieved = session.policy().mean_retrieved();
    score.cache_bytes = session.policy().bytes();
    score.cache_hit_rate = policy::cache_hit_rate(session.policy());
    if (progress)
      progress(concat("stretch ", sample + 1, " (", stretch.source, "), ", named.label,
                      ": perplexity ", perplexity(total_nll(score), total_tokens(score)), ", ",
                      static_cast<int64_t>(static_cast<double>(n) / score.seconds), " tokens/s"));
    scores.push_back(std::move(score));
  }
  return scores;
}

std::vector<PolicyPerplexity> summarise(const std::vector<StretchScore>& scores) {
  std::vector<std::string> labels;
  std::map<std::string, std::vector<const StretchScore*>> by_policy;
  for (const StretchScore& score : scores) {
    auto& of_policy = by_policy[score.policy];
    if (of_policy.empty()) labels.push_back(score.policy);
    of_policy.push_back(&score);
  }
  std::vector<PolicyPerplexity> rows;
  for (const std::string& label : labels) {
    rows.push_back(add_up(by_policy[label]));
    if (label != labels.front())
      rows.back().change = compare(by_policy[labels.front()], by_policy[label]);
  }
  return rows;
}

}  // namespace dsrasq::eval
