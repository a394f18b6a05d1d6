#include "dsrasq/eval/gca_perplexity.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/stopwatch.h"
#include "dsrasq/train/gca_folder.h"
#include "dsrasq/train/gca_model.h"
#include "dsrasq/train/lm_loss.h"

namespace dsrasq::eval {
namespace {

constexpr int64_t kLogitElements = 1 << 22;

StretchScore score_gca(const train::GcaModel& model, const Stretch& stretch, int64_t sample,
                       at::Device device) {
  const train::GcaConfig& config = model.config();
  const auto n = static_cast<int64_t>(stretch.ids.size());
  const at::Tensor ids = at::tensor(stretch.ids, at::kInt).to(at::kLong).to(device);
  StretchScore score{.sample = sample, .source = stretch.source, .policy = "gca"};
  const Clock::time_point start = Clock::now();
  const at::Tensor states = model.states(ids.unsqueeze(0)).select(0, 0);
  const at::Tensor logprobs =
      train::next_token_logprobs(states.narrow(0, 0, n - 1), model.head(), ids.narrow(0, 1, n - 1),
                                 std::max<int64_t>(1, kLogitElements / config.decoder.vocab_size))
          .to(at::kCPU);
  score.seconds = seconds_since(start);
  add_logprobs(score, logprobs);
  score.mean_retrieved = config.mean_retrieved(n);
  score.cache_bytes = static_cast<uint64_t>(config.decoder_values(n)) * model.head().element_size();
  return score;
}

}  // namespace

nlohmann::ordered_json run_gca_perplexity(const session::EngineOptions& engine,
                                          const PerplexityOptions& options,
                                          const Progress& progress) {
  const at::NoGradGuard no_grad;
  const at::Device device = session::ready_device(engine.device, engine.threads);
  const Shard shard = parse_shard(options.shard);
  const train::GcaConfig config = train::read_gca_config(engine.model);
  const auto tokenizer = text::load_tokenizer(engine.model);
  DSRASQ_CHECK(tokenizer->vocab_size() <= config.decoder.vocab_size, kBadInput,
               "eval.gca_perplexity", engine.model, ": the tokenizer has ", tokenizer->vocab_size(),
               " tokens, the model ", config.decoder.vocab_size);
  train::AngleCache angles(device);
  const train::GcaModel model(config,
                              train::read_gca_weights(engine.model, config, device,
                                                      device.is_cpu() ? at::kFloat : at::kBFloat16),
                              angles);
  const std::vector<Stretch> stretches =
      read_stretches(options.text, *tokenizer, options.length, options.samples);
  std::vector<StretchScore> scores;
  for (int64_t sample = 0; sample < options.samples; ++sample) {
    if (!shard.has(sample)) continue;
    check_interrupt();
    scores.push_back(score_gca(model, stretches[static_cast<size_t>(sample)], sample, device));
    if (progress)
      progress(concat("stretch ", sample + 1, " (", scores.back().source, "), gca: perplexity ",
                      summarise({scores.back()}).front().perplexity));
  }
  return perplexity_result(scores, options.length);
}

}  // namespace dsrasq::eval
