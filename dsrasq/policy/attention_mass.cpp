#include "dsrasq/policy/attention_mass.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/ops/rows.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kRows = 128;  // queries at once: bounds the [H, rows, tokens] logits

}  // namespace

AttentionMass::AttentionMass(const AttentionShape& shape, int64_t n_sinks, int64_t max_distance)
    : shape_(shape), n_sinks_(n_sinks), max_distance_(max_distance) {
  sinks_.resize(static_cast<size_t>(shape.n_layers));
}

void AttentionMass::keep_sinks(const SelectionRequest& request) {
  if (request.first >= n_sinks_) return;
  at::Tensor& sinks = sinks_[static_cast<size_t>(request.input.layer)];
  const int64_t n = std::min(n_sinks_ - request.first, request.n_queries);
  const at::Tensor fresh = request.input.k.narrow(0, 0, n).clone();
  sinks = request.first == 0 ? fresh : at::cat({sinks, fresh});
}

// Keys before RoPE of the sinks and of the pool's tokens, [N, Hkv, D], in the order of positions.
at::Tensor AttentionMass::stored_keys(const SelectionRequest& request,
                                      const std::vector<int32_t>& slots) const {
  const at::Tensor& sinks = sinks_[static_cast<size_t>(request.input.layer)];
  const int64_t heads = shape_.n_kv_heads, dim = shape_.head_dim;
  const auto n_tokens = static_cast<int64_t>(slots.size());
  at::Tensor keys = at::empty({n_tokens, heads, dim}, at::kFloat);
  auto* out = keys.mutable_data_ptr<float>();
  for (int64_t i = 0; i < n_tokens; ++i)
    for (int64_t g = 0; g < heads; ++g) {
      const int64_t row = g * request.pool.n_slots() + slots[static_cast<size_t>(i)];
      kernels::dequantize_rows(request.pool.keys() + row * dim, request.pool.key_scales() + row, 1,
                               dim, out + (i * heads + g) * dim);
    }
  return sinks.defined() ? at::cat({sinks, keys}) : keys;
}

// Mean over heads of the attention of queries [begin, begin + n) to each token: [n, N].
at::Tensor AttentionMass::mass(const SelectionRequest& request, const at::Tensor& keys,
                               const at::Tensor& positions, int64_t begin, int64_t n) const {
  const auto& layer = shape_.layers[static_cast<size_t>(request.input.layer)];
  const int64_t base = request.first + begin, n_rep = shape_.n_heads / shape_.n_kv_heads;
  const at::Tensor q = request.input.q.narrow(0, begin, n);
  // Angles relative to the first query: a shift leaves distances alone. Keys too far to be rotated
  // get any angle.
  const int64_t table_start =
      std::max(positions.const_data_ptr<int64_t>()[0], base - max_distance_);
  const auto table = layer.rope.angles(table_start - base, base + n - table_start, at::kCPU);
  const at::Tensor row = at::clamp(positions - table_start, 0, table.cos.size(0) - 1);
  const ops::Rope::Angles key_angles{table.cos.index_select(0, row),
                                     table.sin.index_select(0, row)};
  const auto scores = [&](const at::Tensor& queries, const at::Tensor& of_keys) {
    const at::Tensor folded =
        queries.view({n, shape_.n_kv_heads, n_rep, -1}).permute({1, 2, 0, 3});  // [Hkv,rep,n,D]
    return at::matmul(folded, of_keys.permute({1, 2, 0}).unsqueeze(1)) * layer.scale;
  };
  const at::Tensor near =
      scores(ops::rotate(q, layer.rope.angles(0, n, at::kCPU)), ops::rotate(keys, key_angles));
  const at::Tensor far =
      scores(ops::rotate(q, layer.rope.angles(max_distance_, n, at::kCPU, 0)), keys);
  const at::Tensor distance =
      (at::arange(n, at::kLong) + base).unsqueeze(1) - positions.unsqueeze(0);  // [n, N]
  at::Tensor logits = at::where(distance >= max_distance_, far, near);
  logits = ops::softcap(logits, shape_.logit_softcap);
  logits = logits.masked_fill(distance < 0, -std::numeric_limits<float>::infinity());
  return at::mean(at::softmax(logits, -1), at::IntArrayRef({0, 1}));
}

void AttentionMass::for_each_query(const SelectionRequest& request, const Use& use) const {
  const std::vector<int32_t> slots = request.pool.slots_by_position();
  const at::Tensor keys = stored_keys(request, slots);
  const int64_t n_sinks = keys.size(0) - static_cast<int64_t>(slots.size());
  at::Tensor positions = at::arange(keys.size(0), at::kLong);
  auto* position = positions.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < slots.size(); ++i)
    position[n_sinks + static_cast<int64_t>(i)] = request.pool.position_of(slots[i]);

  for (int64_t begin = 0; begin < request.n_queries; begin += kRows) {
    const int64_t n = std::min(kRows, request.n_queries - begin);
    const at::Tensor weight = mass(request, keys, positions, begin, n).contiguous();
    for (int64_t t = 0; t < n; ++t) {
      const int64_t last = request.first + begin + t - request.window;
      const int64_t* end = std::upper_bound(position + n_sinks, position + keys.size(0), last);
      const auto visible = static_cast<size_t>(end - (position + n_sinks));
      const float* row = weight.const_data_ptr<float>() + t * keys.size(0) + n_sinks;
      use(begin + t, std::span(slots).first(visible), {row, visible});
    }
  }
}

std::vector<int64_t> places_of_greatest(std::span<const float> values, int64_t k) {
  std::vector<int64_t> places(values.size());
  std::iota(places.begin(), places.end(), 0);
  const auto n = std::min(values.size(), static_cast<size_t>(k));
  const auto value = [&](int64_t place) { return values[static_cast<size_t>(place)]; };
  std::nth_element(
      places.begin(), places.begin() + static_cast<std::ptrdiff_t>(n), places.end(),
      [&](int64_t a, int64_t b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  places.resize(n);
  std::sort(places.begin(), places.end());
  return places;
}

}  // namespace dsrasq::policy
