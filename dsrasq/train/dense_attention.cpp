#include "dsrasq/train/dense_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "dsrasq/ops/grouped_heads.h"
#include "dsrasq/ops/rows.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kTeacherElements = 1 << 28, kTeacherElementsCpu = 1 << 24;

// Logits of some rows with columns first to first + n - 1, masked: [H, R, n].
struct RowBlock {
  at::Tensor rows;           // [R] Long, on the device
  int64_t last_row = 0;      // the largest of them
  int64_t first = 0, n = 0;  // columns
};

at::Tensor masked_logits(const DenseAttention& a, const RowBlock& block, bool clamped,
                         at::ScalarType dtype) {
  const auto pick = [&](const at::Tensor& x) { return x.index_select(0, block.rows).to(dtype); };
  const auto columns = [&](const at::Tensor& x, int64_t n) {
    return x.narrow(0, block.first, n).to(dtype);
  };
  at::Tensor logits = grouped_product(pick(a.q), columns(a.k, block.n));
  const at::Tensor positions =
      at::arange(block.first, block.first + block.n, block.rows.options()).unsqueeze(0);
  const at::Tensor rows = block.rows.unsqueeze(1);
  const int64_t n_far = std::clamp<int64_t>(block.last_row - a.d_max + 1 - block.first, 0, block.n);
  if (clamped && a.d_max > 0 && n_far > 0) {
    const at::Tensor far = grouped_product(pick(a.q_far), columns(a.k_plain, n_far));
    at::Tensor part = logits.narrow(2, 0, n_far);
    part.copy_(at::where(positions.narrow(1, 0, n_far) <= rows - a.d_max, far, part));
  }
  logits.mul_(a.scale);
  if (a.softcap > 0) logits = ops::softcap(logits, a.softcap);
  at::Tensor unseen = positions > rows;
  if (a.sliding_window > 0) unseen = unseen.logical_or_(positions <= rows - a.sliding_window);
  return logits.masked_fill_(unseen, -std::numeric_limits<double>::infinity());
}

// The fused kernel: plain causal attention, no matrix of logits anywhere.
at::Tensor attend_fused(const DenseAttention& a) {
  const auto heads = [&](const at::Tensor& x) { return heads_first(x.unsqueeze(0), a.q.size(1)); };
  return at::scaled_dot_product_attention(heads(a.q), heads(a.k), heads(a.v), std::nullopt, 0.0,
                                          true, a.scale)
      .squeeze(0)
      .transpose(0, 1);
}

}  // namespace

at::Tensor heads_first(const at::Tensor& x, int64_t n_heads) {
  const int64_t repeats = n_heads / x.size(2);
  return (repeats == 1 ? x : x.repeat_interleave(repeats, 2)).transpose(1, 2);
}

at::Tensor grouped_product(const at::Tensor& q, const at::Tensor& k) {
  return ops::grouped_products(q.transpose(0, 1), k.transpose(0, 1));
}

at::Tensor weighted_values(const at::Tensor& weights, const at::Tensor& v) {
  return ops::grouped_values(weights, v.transpose(0, 1)).transpose(0, 1);
}

const ops::Rope::Angles& AngleCache::get(const ops::Rope& rope, int64_t first, int64_t n,
                                         int64_t step) {
  const auto key = std::make_tuple(rope.inv_freq(), first, n, step);
  auto found = angles_.find(key);
  if (found == angles_.end())
    found = angles_.emplace(key, rope.angles(first, n, device_, step)).first;
  return found->second;
}

DenseAttention DenseAttention::of(const policy::LayerInput& input,
                                  const policy::AttentionShape& shape, int64_t d_max,
                                  AngleCache& angles) {
  const auto& layer = shape.layers[static_cast<size_t>(input.layer)];
  const int64_t n_tokens = input.x.size(0);
  const auto& turns = angles.get(layer.rope, 0, n_tokens, 1);
  DenseAttention a{.q = ops::rotate(input.q, turns),
                   .k = ops::rotate(input.k, turns),
                   .v = input.v,
                   .q_far = {},
                   .k_plain = input.k,
                   .scale = layer.scale,
                   .softcap = shape.logit_softcap,
                   .sliding_window = layer.sliding_window,
                   .d_max = d_max < n_tokens ? d_max : 0};
  if (a.d_max > 0) a.q_far = ops::rotate(input.q, angles.get(layer.rope, d_max, n_tokens, 0));
  return a;
}

at::Tensor attend_densely(const DenseAttention& a, bool clamped) {
  const int64_t n_tokens = a.q.size(0), n_heads = a.q.size(1);
  const bool slides = a.sliding_window > 0 && a.sliding_window < n_tokens;
  if (!slides && a.softcap == 0 && !(clamped && a.d_max > 0)) return attend_fused(a);

  const int64_t budget = a.q.device().is_cpu() ? kTeacherElementsCpu : kTeacherElements;
  const int64_t chunk = std::clamp<int64_t>(budget / (n_heads * n_tokens), 16, 1024);
  at::Tensor out = at::empty_like(a.q);
  for (int64_t begin = 0; begin < n_tokens; begin += chunk) {
    const int64_t end = std::min(begin + chunk, n_tokens);
    const int64_t first = slides ? std::max<int64_t>(0, begin - a.sliding_window + 1) : 0;
    const RowBlock block{.rows = at::arange(begin, end, a.q.options().dtype(at::kLong)),
                         .last_row = end - 1,
                         .first = first,
                         .n = end - first};
    const at::Tensor weights =
        masked_logits(a, block, clamped, a.q.scalar_type()).softmax(2);  // [H, R, n]
    out.narrow(0, begin, end - begin)
        .copy_(weighted_values(weights, a.v.narrow(0, first, end - first)));
  }
  return out;
}

at::Tensor row_logits(const DenseAttention& a, const SampledRows& rows) {
  const RowBlock block{
      .rows = rows.positions, .last_row = rows.last, .first = 0, .n = rows.last + 1};
  return masked_logits(a, block, true, a.q.scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
}

AttentionTarget far_attention(const DenseAttention& a, const SampledRows& rows, int64_t sinks,
                              int64_t window) {
  const int64_t last = rows.last;
  AttentionTarget target{.rows = rows.positions, .first = sinks, .window = window, .mass = {}};
  const at::Tensor weights = row_logits(a, rows).softmax(2).mean(0);
  target.mass = weights.narrow(1, sinks, last - window + 1 - sinks).contiguous();
  const at::Tensor positions =
      at::arange(sinks, last - window + 1, rows.positions.options()).unsqueeze(0);
  target.mass.masked_fill_(positions > (rows.positions - window).unsqueeze(1), 0);
  return target;
}

}  // namespace dsrasq::train
