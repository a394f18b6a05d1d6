#include "dsrasq/train/student_slots.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "dsrasq/memory/lost_share.h"
#include "dsrasq/ops/recompute.h"
#include "dsrasq/policy/slot_blocks.h"

namespace dsrasq::train {
namespace {

using memory::SlotMode;

constexpr double kFastest = 0.1, kSlowest = 0.001;  // 1 - beta of the first and the last slot

std::vector<float> values_of(const at::Tensor& t) {
  const at::Tensor host = t.detach().to(at::kCPU, at::kFloat).contiguous();
  const float* data = host.const_data_ptr<float>();
  return {data, data + host.numel()};
}

at::Tensor tensor_of(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kFloat).view(shape);
}

// What inference multiplies with.
policy::SlotWeights weights_of(const SlotTensors& p) {
  at::Tensor beta;
  if (p.mode != SlotMode::kRotate)
    beta = p.learns_beta() ? p.beta_logit.sigmoid()
                           : at::full({1}, p.fixed_beta, p.gate.options().requires_grad(false));
  return {p.mode, p.u_k, p.u_v, beta, p.read_k, p.read_v};
}

// What is read after every block: [n_blocks, r, d]. A block that is more than `live` blocks older
// than the newest gets no gradient.
at::Tensor states(const policy::SlotWeights& weights, const at::Tensor& added, int64_t live) {
  const int64_t n_blocks = added.size(0);
  const at::Tensor shares = policy::state_shares(weights, n_blocks, 0).blocks;
  const at::Tensor by_slot = added.transpose(0, 1);  // [r, block, d]
  if (live >= n_blocks) return shares.matmul(by_slot).transpose(0, 1);
  const at::Tensor block = at::arange(n_blocks, at::TensorOptions(added.device()).dtype(at::kLong));
  const at::Tensor is_live = block.unsqueeze(1) - block <= live;
  return (shares.masked_fill(is_live.logical_not(), 0).matmul(by_slot) +
          shares.masked_fill(is_live, 0).matmul(by_slot.detach()))
      .transpose(0, 1);
}

memory::LeavingRule leaving_rule(const SlotRules& rules) {
  return {rules.window, rules.sinks, rules.pool, rules.block};
}

// How loud the slots are to every row from block lag + 1 on, whole blocks: [rows, 1, 1].
at::Tensor shares(const SlotRules& rules, const at::Tensor& q) {
  const memory::LeavingRule rule = leaving_rule(rules);
  std::vector<double> by_state;
  for (int64_t state = 0; state < rules.n_states(q.size(0)); ++state)
    by_state.push_back(memory::lost_share(rule, (rules.lag() + 1 + state) * rules.block));
  return at::tensor(by_state, at::kFloat)
      .to(q.device(), true)
      .repeat_interleave(rules.block)
      .view({-1, 1, 1});
}

// What the rows from block lag + 1 on read of the states before them.
at::Tensor read_blocks(const SlotTensors& p, const at::Tensor& q, const at::Tensor& k,
                       const at::Tensor& v, double scale, const SlotRules& rules) {
  const int64_t n_tokens = q.size(0), block = rules.block, n_states = rules.n_states(n_tokens);
  const auto dtype = p.u_k.scalar_type();
  const auto blocks = [&](const at::Tensor& t) {
    return t.narrow(0, 0, n_states * block).to(dtype).reshape({n_states, block, -1});
  };
  const int64_t live =
      rules.horizon > 0 ? std::max<int64_t>(0, rules.horizon / block - rules.lag() - 1) : n_states;
  const policy::SlotWeights weights = weights_of(p);
  const at::Tensor added = policy::block_summaries(weights, blocks(k), blocks(v), 0, rules.sinks);
  const policy::SlotHeads heads = policy::slot_heads(weights, states(weights, added, live), scale);
  const int64_t first = (rules.lag() + 1) * block, n_rows = n_tokens - first;
  const at::Tensor rows = at::constant_pad_nd(q.narrow(0, first, n_rows).to(dtype),
                                              {0, 0, 0, 0, 0, n_states * block - n_rows});
  const at::Tensor queries = rows.view({n_states, block, q.size(1), q.size(2)});
  const at::Tensor read =
      policy::read_states(weights, heads, queries, 1).reshape(rows.sizes()).narrow(0, 0, n_rows);
  const at::Tensor share = shares(rules, q).narrow(0, 0, n_rows);
  const at::Tensor gated = read * (p.gate.tanh().unsqueeze(1) * share);
  return at::constant_pad_nd(gated.to(q.scalar_type()), {0, 0, 0, 0, first, 0});
}

bool loses_tokens(const SlotRules& rules, int64_t n_tokens) {
  return rules.pool > 0 && memory::lost_share(leaving_rule(rules), n_tokens - 1) > 0;
}

}  // namespace

SlotTensors SlotTensors::fresh(const Size& size, const Kind& kind, uint64_t seed) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const int64_t d = size.n_kv_heads * size.head_dim, r = size.n_slots;
  // Logits of deviation 1 where keys and values have it.
  const auto projection = [&] {
    if (kind.mode == SlotMode::kPosition) return at::randn({size.block, r}, generator, at::kFloat);
    return at::randn({d, r}, generator, at::kFloat).mul_(1 / std::sqrt(static_cast<double>(d)));
  };
  SlotTensors slots{.mode = kind.mode, .fixed_beta = kind.fixed_beta};
  slots.u_k = projection();
  slots.u_v = projection();
  if (slots.learns_beta()) {
    const at::Tensor forget =
        at::linspace(std::log(kFastest), std::log(kSlowest), r, at::kFloat).exp();
    slots.beta_logit = ((1 - forget) / forget).log();
  }
  slots.read_k =
      at::eye(d, at::kFloat).view({d, size.n_kv_heads, size.head_dim}).transpose(0, 1).contiguous();
  slots.read_v = slots.read_k.clone();
  slots.gate = at::zeros({size.n_heads});
  return slots;
}

SlotTensors SlotTensors::from(const memory::SlotParameters& p, double fixed_beta) {
  const int64_t r = p.n_slots, d = p.width();
  SlotTensors slots{.mode = p.mode,
                    .fixed_beta = fixed_beta,
                    .u_k = tensor_of(p.u_k, {-1, r}),
                    .u_v = tensor_of(p.u_v, {-1, r}),
                    .read_k = tensor_of(p.read_k, {p.n_kv_heads, d, p.head_dim}),
                    .read_v = tensor_of(p.read_v, {p.n_kv_heads, d, p.head_dim}),
                    .gate = tensor_of(p.gate, {-1})};
  if (slots.learns_beta()) {
    const at::Tensor beta = tensor_of(p.beta, {r});
    slots.beta_logit = (beta / (1 - beta)).log();
  }
  return slots;
}

memory::SlotParameters SlotTensors::to_parameters() const {
  std::vector<float> beta;
  if (learns_beta())
    beta =
        values_of(beta_logit.detach().sigmoid().clamp(memory::kLeastBeta, 1 - memory::kLeastBeta));
  else if (mode != SlotMode::kRotate)
    beta.assign(static_cast<size_t>(u_k.size(1)), static_cast<float>(fixed_beta));
  return {.mode = mode,
          .n_slots = u_k.size(1),
          .n_kv_heads = read_k.size(0),
          .head_dim = read_k.size(2),
          .u_k = values_of(u_k),
          .u_v = values_of(u_v),
          .beta = beta,
          .read_k = values_of(read_k),
          .read_v = values_of(read_v),
          .gate = values_of(gate)};
}

at::Tensor read_slots(const SlotTensors& slots, const at::Tensor& q, const at::Tensor& k,
                      const at::Tensor& v, double scale, const SlotRules& rules) {
  if (rules.n_states(q.size(0)) <= 0 || !loses_tokens(rules, q.size(0))) return {};
  std::vector<at::Tensor> inputs{q, k, v};
  SlotTensors own = slots;
  own.visit([&](const char*, const at::Tensor& t) { inputs.push_back(t); });
  return ops::recomputed(
      [scale, rules, mode = slots.mode,
       fixed_beta = slots.fixed_beta](const std::vector<at::Tensor>& t) {
        SlotTensors p{.mode = mode, .fixed_beta = fixed_beta};
        size_t next = 3;
        p.visit([&](const char*, at::Tensor& part) { part = t[next++]; });
        return std::vector<at::Tensor>{read_blocks(p, t[0], t[1], t[2], scale, rules)};
      },
      inputs)[0];
}

}  // namespace dsrasq::train
