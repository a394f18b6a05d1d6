#include "dsrasq/session/session.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/model/stop_strings.h"

namespace dsrasq::session {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kLogitRows = 32;  // at once: the vocabulary makes wide rows

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

at::Tensor to_tensor(std::span<const int32_t> ids) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(ids.size())}, at::kLong);
  std::copy(ids.begin(), ids.end(), tensor.mutable_data_ptr<int64_t>());
  return tensor;
}

std::span<const float> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

// A NaN spreads to everything that is computed from it, so looking at what comes out is enough.
void check_finite(const Engine& engine, const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kCPU, at::kFloat).contiguous();
  for (const float value : values_of(values))
    DSRASQ_CHECK(std::isfinite(value), kBadInput, "session.session", engine.options().model,
                 " computes ", value, ": its weights, or the session's memory, are damaged");
}

bool same(const model::SamplingConfig& a, const model::SamplingConfig& b) {
  return a.temperature == b.temperature && a.top_k == b.top_k && a.top_p == b.top_p &&
         a.min_p == b.min_p && a.repeat_penalty == b.repeat_penalty &&
         a.repeat_last_n == b.repeat_last_n && a.seed == b.seed;
}

}  // namespace

Session::Session(const Engine& engine, const policy::PolicyOptions& options)
    : engine_(engine), options_(options), policy_(engine.make_policy(options)) {}

template <class OnStates>
void Session::read_blocks(std::span<const int32_t> ids, const ReadProgress& progress,
                          const OnStates& on_states) {
  const auto total = static_cast<int64_t>(ids.size());
  const int64_t vocab = engine_.model().config().vocab_size;
  for (const int32_t id : ids)
    DSRASQ_CHECK(id >= 0 && id < vocab, kInternal, "session.session", "token ", id,
                 " is not one of the model's ", vocab);
  for (int64_t done = 0; done < total;) {
    check_interrupt();
    const int64_t n = policy_->admit(total - done);
    const auto block = ids.subspan(static_cast<size_t>(done), static_cast<size_t>(n));
    const at::Tensor states = engine_.model_for(options_).forward(to_tensor(block), *policy_);
    on_states(done, states);
    last_state_ = states.narrow(0, n - 1, 1).clone();
    check_finite(engine_, last_state_);
    done += n;
    if (progress) progress(done, total);
  }
}

void Session::read(std::span<const int32_t> ids, const ReadProgress& progress) {
  read_blocks(ids, progress, [](int64_t, const at::Tensor&) {});
}

at::Tensor Session::read_states(std::span<const int32_t> ids) {
  std::vector<at::Tensor> parts;
  read_blocks(ids, nullptr, [&](int64_t, const at::Tensor& states) { parts.push_back(states); });
  return at::cat(parts);
}

at::Tensor Session::next_logits() const {
  DSRASQ_CHECK(last_state_.defined(), kInvalidArgument, "session.session",
               "nothing was read yet, so there is no next token");
  const at::Tensor logits = engine_.model().logits(last_state_).squeeze(0).cpu().contiguous();
  check_finite(engine_, logits);
  return logits;
}

GenerateResult Session::generate(const GenerateOptions& options,
                                 const std::function<void(std::string_view)>& on_text) {
  if (!same(options.sampling, sampling_)) {
    sampling_ = options.sampling;
    sampler_ = model::Sampler(sampling_);
  }
  model::StopMatcher stops(options.stop);
  text::StreamingDecoder decoder(engine_.tokenizer());
  GenerateResult result;
  result.finish_reason = "length";
  const auto show = [&](const std::string& text) {
    result.text += text;
    if (on_text && !text.empty()) on_text(text);
  };

  const Clock::time_point start = Clock::now();
  prompt_ended();
  while (result.n_tokens < options.max_tokens && !stops.matched()) {
    if (interrupted()) {
      result.finish_reason = "interrupted";
      break;
    }
    const at::Tensor logits = next_logits();
    const int32_t token =
        sampler_.sample({logits.const_data_ptr<float>(), static_cast<size_t>(logits.numel())});
    if (result.n_tokens == 0) result.first_token_ms = 1000 * seconds_since(start);
    if (engine_.tokenizer().is_end_of_text(token)) {
      result.finish_reason = "stop";
      break;
    }
    sampler_.observe(token);
    ++result.n_tokens;
    show(stops.feed(decoder.push(token)));
    read_blocks(std::span(&token, 1), nullptr, [](int64_t, const at::Tensor&) {});
  }
  if (!stops.matched()) show(stops.feed(decoder.finish()));
  if (stops.matched())
    result.finish_reason = "stop";
  else
    show(stops.finish());
  const double decode_s = seconds_since(start) - result.first_token_ms / 1000;
  if (result.n_tokens > 1 && decode_s > 0)
    result.decode_tokens_per_s = static_cast<double>(result.n_tokens) / decode_s;
  return result;
}

}  // namespace dsrasq::session
