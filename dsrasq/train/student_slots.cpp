#include "dsrasq/train/student_slots.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <vector>

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

// C_t / (1 - beta^t) after every block: [n_blocks, r, d].
at::Tensor states(const at::Tensor& beta, const at::Tensor& added) {
  const at::Tensor keep = beta.unsqueeze(1);
  at::Tensor slots, power = at::ones_like(keep);
  std::vector<at::Tensor> all;
  for (const at::Tensor& block : added.unbind(0)) {
    const at::Tensor share = (1 - keep) * block;
    slots = slots.defined() ? keep * slots + share : share;
    power = power * keep;
    all.push_back(slots / (1 - power));
  }
  return at::stack(all);
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

at::Tensor read_slots(const SlotTensors& p, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v, double scale, const SlotRules& rules) {
  const int64_t n_tokens = q.size(0), n_heads = q.size(1), head_dim = q.size(2);
  const int64_t n_kv = k.size(1), block = rules.block, width = n_kv * head_dim;
  // Rows of block b read what blocks 0 to b - lag - 1 left behind.
  const int64_t lag = (rules.window + block - 1) / block;
  const int64_t n_states = (n_tokens + block - 1) / block - lag - 1;
  if (n_states <= 0) return {};
  const auto dtype = p.u_k.scalar_type();
  const auto blocks = [&](const at::Tensor& t) {
    return t.narrow(0, 0, n_states * block).to(dtype).reshape({n_states, block, width});
  };
  const at::Tensor slots =
      states(p.beta_logit.sigmoid(), summaries(p, blocks(k), blocks(v), rules.sinks));
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

}  // namespace dsrasq::train
