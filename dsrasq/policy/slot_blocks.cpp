#include "dsrasq/policy/slot_blocks.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

namespace dsrasq::policy {
namespace {

using memory::SlotMode;

constexpr double kNever = -1e30;  // a logit without a share in the softmax

at::Tensor numbers(const SlotWeights& p, int64_t n) {
  return at::arange(n, at::TensorOptions(p.u_k.device()).dtype(at::kLong));
}

// The slot whose turn it is at every block: [n_blocks].
at::Tensor turns(const SlotWeights& p, int64_t n_blocks, int64_t first) {
  return (numbers(p, n_blocks) + first).remainder(p.u_k.size(1));
}

// How much of its tokens rows [n_blocks, m, d] a slot wants: [n_blocks, m, r], of kRotate
// [n_blocks, m, 1] for the slot whose turn it is, of kPosition [m, r] for every block.
at::Tensor token_logits(const SlotWeights& p, const at::Tensor& rows, const at::Tensor& u,
                        int64_t first) {
  if (p.mode == SlotMode::kPosition) return u;
  if (p.mode == SlotMode::kContent) return rows.matmul(u);
  return rows.matmul(u.index_select(1, turns(p, rows.size(0), first)).t().unsqueeze(2));
}

// `age`: how much older than the newest block of a state a block is [state, block].
StateShares decayed_shares(const SlotWeights& p, const at::Tensor& age, int64_t first) {
  const at::Tensor keep = p.beta.view({-1, 1, 1});
  const at::Tensor n_new = age.select(1, 0).unsqueeze(1) + 1;  // [state, 1]
  const at::Tensor whole = 1 - keep.pow(n_new + first);
  return {(keep.pow(age.clamp_min(0)) * (1 - keep) / whole).masked_fill(age < 0, 0),
          keep.pow(n_new) * (1 - keep.pow(static_cast<double>(first))) / whole};
}

// The newest block whose turn a slot's was, alone.
StateShares rotated_shares(const SlotWeights& p, const at::Tensor& age, int64_t first) {
  const int64_t r = p.u_k.size(1);
  const at::Tensor slot = numbers(p, r).view({-1, 1, 1});
  const at::Tensor blocks =
      (turns(p, age.size(0), first).eq(slot) & (age >= 0) & (age < r)).to(p.u_k.scalar_type());
  return {blocks, 1 - blocks.sum({2}, true)};
}

}  // namespace

at::Tensor block_summaries(const SlotWeights& p, const at::Tensor& k, const at::Tensor& v,
                           int64_t first, int64_t sinks) {
  const int64_t n_blocks = k.size(0), m = k.size(1);
  const at::Tensor is_sink = (numbers(p, n_blocks * m) < sinks - first * m).view({n_blocks, m, 1});
  const auto summary = [&](const at::Tensor& rows, const at::Tensor& u) {
    const at::Tensor logits = token_logits(p, rows, u, first).masked_fill(is_sink, kNever);
    // Of nothing but sinks: zeros.
    return logits.softmax(1).masked_fill(is_sink, 0).transpose(1, 2).matmul(rows);
  };
  return summary(k, p.u_k) + summary(v, p.u_v);
}

StateShares state_shares(const SlotWeights& p, int64_t n_blocks, int64_t first) {
  const at::Tensor block = numbers(p, n_blocks), age = block.unsqueeze(1) - block;
  return p.mode == SlotMode::kRotate ? rotated_shares(p, age, first)
                                     : decayed_shares(p, age, first);
}

SlotHeads slot_heads(const SlotWeights& p, const at::Tensor& states, double scale) {
  const auto read_out = [&](const at::Tensor& weight) {
    return states.unsqueeze(1).matmul(weight.unsqueeze(0));
  };
  return {read_out(p.read_k) * scale, read_out(p.read_v)};
}

at::Tensor read_states(const SlotWeights& p, const SlotHeads& heads, const at::Tensor& q,
                       int64_t n_folds) {
  const int64_t n_states = q.size(0), n = q.size(1), n_heads = q.size(2), dim = q.size(3);
  const int64_t n_kv = heads.keys.size(1), group = n_heads / n_kv, r = heads.keys.size(2);
  const at::Tensor queries = q.reshape({n_states, n, n_kv, group, dim})
                                 .permute({0, 2, 3, 1, 4})
                                 .reshape({n_states, n_kv, group * n, dim});
  at::Tensor logits = queries.matmul(heads.keys.transpose(2, 3));
  if (p.mode == SlotMode::kRotate && n_folds < r) {  // slots that no block has filled
    const at::Tensor filled = (numbers(p, n_states) + n_folds).view({-1, 1, 1, 1});
    logits = logits.masked_fill(numbers(p, r) >= filled, kNever);
  }
  return logits.softmax(3)
      .matmul(heads.values)
      .view({n_states, n_kv, group, n, dim})
      .permute({0, 3, 1, 2, 4})
      .reshape({n_states, n, n_heads, dim});
}

}  // namespace dsrasq::policy
