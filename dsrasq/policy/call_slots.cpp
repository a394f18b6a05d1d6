#include "dsrasq/policy/call_slots.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

namespace dsrasq::policy {

CallSlots::CallSlots(const memory::SlotParameters& p, const memory::LeavingRule& rule, double scale,
                     at::Device device)
    : rule_(rule), scale_(scale) {
  const int64_t n_kv = p.n_kv_heads, r = p.n_slots, width = p.width();
  const auto tensor = [&](const std::vector<float>& values, at::IntArrayRef shape) {
    return at::tensor(values, at::kFloat).view(shape).to(device);
  };
  weights_ = {.mode = p.mode,
              .u_k = tensor(p.u_k, {-1, r}),
              .u_v = tensor(p.u_v, {-1, r}),
              .beta = p.mode == memory::SlotMode::kRotate ? at::Tensor() : tensor(p.beta, {r}),
              .read_k = tensor(p.read_k, {n_kv, width, p.head_dim}),
              .read_v = tensor(p.read_v, {n_kv, width, p.head_dim})};
  gate_ = tensor(p.gate, {static_cast<int64_t>(p.gate.size()), 1}).tanh();
  state_ = at::zeros({r, width}, weights_.u_k.options());
}

// Blocks that have wholly left the window at the start of one.
int64_t CallSlots::folds_at(int64_t block) const {
  return std::max<int64_t>(0, block * rule_.block - rule_.window) / rule_.block;
}

// Of a call's blocks: slots change and grow louder at multiples of a block only.
CallSlots::Heard CallSlots::heard(int64_t first, int64_t n) const {
  const int64_t end = (first + n - 1) / rule_.block + 1;
  int64_t block = first / rule_.block;
  while (block < end &&
         (folds_at(block) == 0 || memory::lost_share(rule_, block * rule_.block) == 0))
    ++block;
  return {block, end - block};
}

// Takes in all blocks up to `n_folds`. Returns the state before them and those after each of them:
// [1 + B, r, d].
at::Tensor CallSlots::take_blocks(int64_t n_folds, const Stored& stored) {
  const int64_t n_blocks = n_folds - n_folds_, m = rule_.block;
  if (n_blocks == 0) return state_.unsqueeze(0);
  const auto [k, v] = stored(n_folds_ * m, n_blocks * m);
  const auto blocks = [&](const at::Tensor& rows) {
    return rows.reshape({n_blocks, m, state_.size(1)});
  };
  const at::Tensor added = block_summaries(weights_, blocks(k), blocks(v), n_folds_, rule_.sinks);
  const StateShares shares = state_shares(weights_, n_blocks, n_folds_);
  const at::Tensor before = state_.unsqueeze(1);  // [r, 1, d]
  const at::Tensor after = shares.blocks.matmul(added.transpose(0, 1)) + shares.before * before;
  const at::Tensor states = at::cat({before, after}, 1).transpose(0, 1);
  state_ = states.select(0, n_blocks).clone();
  last_ = {};
  n_folds_ = n_folds;
  return states;
}

// How loud each state is: [S, 1, 1, 1].
at::Tensor CallSlots::shares(const Heard& heard) const {
  std::vector<double> by_state;
  for (int64_t block = heard.block; block < heard.block + heard.n_states; ++block)
    by_state.push_back(memory::lost_share(rule_, block * rule_.block));
  return at::tensor(by_state, at::kFloat).view({-1, 1, 1, 1}).to(gate_.device(), true);
}

// Of whole blocks, the first and the last of which may be of other calls in part.
at::Tensor CallSlots::read_blocks(const at::Tensor& q, int64_t front, const Heard& heard,
                                  const at::Tensor& states) const {
  const int64_t m = rule_.block, back = heard.n_states * m - front - q.size(0);
  const at::Tensor whole = at::constant_pad_nd(q, {0, 0, 0, 0, front, back});
  const at::Tensor queries = whole.view({heard.n_states, m, q.size(1), q.size(2)});
  const at::Tensor read =
      read_states(weights_, slot_heads(weights_, states, scale_), queries, folds_at(heard.block)) *
      (gate_ * shares(heard));
  return read.reshape(whole.sizes()).narrow(0, front, q.size(0));
}

// Of the last state alone, as a decoder does.
at::Tensor CallSlots::read_last(const at::Tensor& q, int64_t block) {
  if (!last_.keys.defined()) {
    last_ = slot_heads(weights_, state_.unsqueeze(0), scale_);
    last_gate_ = gate_ * memory::lost_share(rule_, block * rule_.block);
  }
  return read_states(weights_, last_, q.unsqueeze(0), n_folds_).squeeze(0) * last_gate_;
}

void CallSlots::add(const at::Tensor& q, int64_t first, const Stored& stored,
                    const at::Tensor& out) {
  const int64_t m = rule_.block, n_before = n_folds_;
  const at::Tensor states = take_blocks(folds_at((first + q.size(0) - 1) / m), stored);
  const Heard heard = this->heard(first, q.size(0));
  if (heard.n_states == 0) return;
  const int64_t skip = std::max<int64_t>(0, heard.block * m - first), n = q.size(0) - skip;
  const at::Tensor queries = q.narrow(0, skip, n).to(at::kFloat);
  const at::Tensor read =
      heard.n_states == 1
          ? read_last(queries, heard.block)
          : read_blocks(queries, first + skip - heard.block * m, heard,
                        states.narrow(0, folds_at(heard.block) - n_before, heard.n_states));
  out.narrow(0, skip, n).add_(read);
}

}  // namespace dsrasq::policy
