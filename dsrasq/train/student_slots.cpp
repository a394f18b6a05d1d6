#include "dsrasq/train/student_slots.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsrasq/ops/recompute.h"

namespace dsrasq::train {
namespace {

constexpr double kFastest = 0.1, kSlowest = 0.001;  // 1 - beta of the first and the last slot

std::vector<float> values_of(const at::Tensor& t) {
  const at::Tensor host = t.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* data = host.const_data_ptr<float>();
  return {data, data + host.numel()};
}

at::Tensor tensor_of(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kFloat).view(shape);
}

// What every block adds to the slots: [n_blocks, r, d].
at::Tensor summaries(const SlotTensors& p, const at::Tensor& k, const at::Tensor& v,
                     int64_t sinks) {
  const int64_t n_blocks = k.size(0), block = k.size(1);
  const at::Tensor is_sink =
      (at::arange(n_blocks * block, k.options().dtype(at::kLong).requires_grad(false)) < sinks)
          .view({n_blocks, block, 1});
  const auto summary = [&](const at::Tensor& rows, const at::Tensor& u) {
    const at::Tensor logits = rows.matmul(u).masked_fill(is_sink, -1e30);
    return logits.softmax(1).transpose(1, 2).matmul(rows);
  };
  return summary(k, p.u_k) + summary(v, p.u_v);
}

// C_t / (1 - beta^t) after every block: [n_blocks, r, d]. A block that is more than `live` blocks
// older than the newest gets no gradient.
at::Tensor states(const at::Tensor& beta, const at::Tensor& added, int64_t live) {
  const int64_t n_blocks = added.size(0);
  const at::Tensor block =
      at::arange(n_blocks, added.options().dtype(at::kLong).requires_grad(false));
  const at::Tensor age = block.unsqueeze(1) - block;  // [state, block]
  const at::Tensor keep = beta.view({-1, 1, 1});
  const at::Tensor shares =
      (keep.pow(age.clamp_min(0)) * (1 - keep) / (1 - keep.pow(block.unsqueeze(1) + 1)))
          .masked_fill(age < 0, 0);                  // [r, state, block]
  const at::Tensor by_slot = added.transpose(0, 1);  // [r, block, d]
  if (live >= n_blocks) return shares.matmul(by_slot).transpose(0, 1);
  const at::Tensor is_live = age <= live;
  return (shares.masked_fill(is_live.logical_not(), 0).matmul(by_slot) +
          shares.masked_fill(is_live, 0).matmul(by_slot.detach()))
      .transpose(0, 1);
}

// What the rows from block lag + 1 on read of the states before them.
at::Tensor read_states(const SlotTensors& p, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v, double scale, const SlotRules& rules) {
  const int64_t n_tokens = q.size(0), n_heads = q.size(1), head_dim = q.size(2);
  const int64_t n_kv = k.size(1), block = rules.block, width = n_kv * head_dim;
  const int64_t lag = rules.lag(), n_states = rules.n_states(n_tokens);
  const auto dtype = p.u_k.scalar_type();
  const auto blocks = [&](const at::Tensor& t) {
    return t.narrow(0, 0, n_states * block).to(dtype).reshape({n_states, block, width});
  };
  const int64_t live =
      rules.horizon > 0 ? std::max<int64_t>(0, rules.horizon / block - lag - 1) : n_states;
  const at::Tensor slots =
      states(p.beta_logit.sigmoid(), summaries(p, blocks(k), blocks(v), rules.sinks), live);
  const auto read_out = [&](const at::Tensor& weight) {  // [n_states, Hkv, r, D]
    return slots.unsqueeze(1).matmul(weight.unsqueeze(0));
  };
  const int64_t first = (lag + 1) * block, n_rows = n_tokens - first;
  const at::Tensor rows = at::constant_pad_nd(q.narrow(0, first, n_rows).to(dtype),
                                              {0, 0, 0, 0, 0, n_states * block - n_rows});
  const at::Tensor queries = rows.view({n_states, block, n_kv, n_heads / n_kv, head_dim})
                                 .permute({0, 2, 3, 1, 4})
                                 .reshape({n_states, n_kv, n_heads / n_kv * block, head_dim});
  const at::Tensor weights =
      (queries.matmul(read_out(p.read_k).transpose(2, 3)) * scale).softmax(3);
  const at::Tensor read = weights.matmul(read_out(p.read_v))
                              .view({n_states, n_kv, n_heads / n_kv, block, head_dim})
                              .permute({0, 3, 1, 2, 4})
                              .reshape({n_states * block, n_heads, head_dim})
                              .narrow(0, 0, n_rows);
  const at::Tensor gated = read * p.gate.tanh().unsqueeze(1);
  return at::constant_pad_nd(gated.to(q.scalar_type()), {0, 0, 0, 0, first, 0});
}

}  // namespace

SlotTensors SlotTensors::fresh(const Size& size, uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const int64_t d = size.n_kv_heads * size.head_dim, r = size.n_slots;
  const auto projection = [&] {
    return at::randn({d, r}, generator, at::kFloat).mul_(1 / std::sqrt(static_cast<double>(d)));
  };
  SlotTensors slots;
  slots.u_k = projection();
  slots.u_v = projection();
  const at::Tensor forget =
      at::linspace(std::log(kFastest), std::log(kSlowest), r, at::kFloat).exp();
  slots.beta_logit = ((1 - forget) / forget).log();
  slots.read_k =
      at::eye(d, at::kFloat).view({d, size.n_kv_heads, size.head_dim}).transpose(0, 1).contiguous();
  slots.read_v = slots.read_k.clone();
  slots.gate = at::zeros({size.n_heads});
  return slots;
}

SlotTensors SlotTensors::from(const memory::SlotParameters& p) {
  const int64_t r = p.n_slots, d = static_cast<int64_t>(p.u_k.size()) / r;
  const int64_t n_kv = p.n_kv_heads;
  const at::Tensor beta = tensor_of(p.beta, {r});
  return {.u_k = tensor_of(p.u_k, {d, r}),
          .u_v = tensor_of(p.u_v, {d, r}),
          .beta_logit = (beta / (1 - beta)).log(),
          .read_k = tensor_of(p.read_k, {n_kv, d, d / n_kv}),
          .read_v = tensor_of(p.read_v, {n_kv, d, d / n_kv}),
          .gate = tensor_of(p.gate, {static_cast<int64_t>(p.gate.size())})};
}

memory::SlotParameters SlotTensors::to_parameters() const {
  // A slot that forgets nothing, or everything, is one that fp32 rounded.
  const at::Tensor beta = beta_logit.detach().sigmoid().clamp(1e-6, 1 - 1e-6);
  return {.n_slots = u_k.size(1),
          .n_kv_heads = read_k.size(0),
          .u_k = values_of(u_k),
          .u_v = values_of(u_v),
          .beta = values_of(beta),
          .read_k = values_of(read_k),
          .read_v = values_of(read_v),
          .gate = values_of(gate)};
}

at::Tensor read_slots(const SlotTensors& slots, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v, double scale, const SlotRules& rules) {
  if (rules.n_states(q.size(0)) <= 0) return {};
  std::vector<at::Tensor> inputs{q, k, v};
  SlotTensors own = slots;
  own.visit([&](const char*, const at::Tensor& t) { inputs.push_back(t); });
  return ops::recomputed(
      [scale, rules](const std::vector<at::Tensor>& t) {
        SlotTensors p;
        size_t next = 3;
        p.visit([&](const char*, at::Tensor& part) { part = t[next++]; });
        return std::vector<at::Tensor>{read_states(p, t[0], t[1], t[2], scale, rules)};
      },
      inputs)[0];
}

}  // namespace dsrasq::train
