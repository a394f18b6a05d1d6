// The bound: picks by the attention mass itself, computed from everything the memory holds.

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <limits>

#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/ops/rows.h"
#include "dsrasq/policy/selector.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kRows = 128;  // queries at once: bounds the [H, rows, tokens] logits

class OracleSelector final : public Selector {
 public:
  OracleSelector(const AttentionShape& shape, int64_t n_sinks, int64_t max_distance)
      : shape_(shape), n_sinks_(n_sinks), max_distance_(max_distance) {
    sinks_.resize(static_cast<size_t>(shape.n_layers));
  }

  void select(const SelectionRequest& request, Selection& selection) override;

 private:
  at::Tensor stored_keys(const SelectionRequest& request, const std::vector<int32_t>& slots);
  at::Tensor mass(const SelectionRequest& request, const at::Tensor& keys,
                  const at::Tensor& positions, int64_t begin, int64_t n) const;

  AttentionShape shape_;
  int64_t n_sinks_, max_distance_;
  std::vector<at::Tensor> sinks_;  // by layer: keys of the first tokens [n_sinks, Hkv, D]
};

// Keys before RoPE of the sinks and of the pool's tokens, [N, Hkv, D], in the order of positions.
at::Tensor OracleSelector::stored_keys(const SelectionRequest& request,
                                       const std::vector<int32_t>& slots) {
  at::Tensor& sinks = sinks_[static_cast<size_t>(request.input.layer)];
  if (request.first < n_sinks_) {
    const int64_t n = std::min(n_sinks_ - request.first, request.n_queries);
    const at::Tensor fresh = request.input.k.narrow(0, 0, n).clone();
    sinks = request.first == 0 ? fresh : at::cat({sinks, fresh});
  }
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
  return at::cat({sinks, keys});
}

// Mean over heads of the attention of queries [begin, begin + n) to each token: [n, N].
at::Tensor OracleSelector::mass(const SelectionRequest& request, const at::Tensor& keys,
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

void OracleSelector::select(const SelectionRequest& request, Selection& selection) {
  const std::vector<int32_t> slots = request.pool.slots_by_position();
  const at::Tensor keys = stored_keys(request, slots);
  const int64_t n_sinks = keys.size(0) - static_cast<int64_t>(slots.size());
  at::Tensor positions = at::arange(keys.size(0), at::kLong);
  auto* position = positions.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < slots.size(); ++i)
    position[n_sinks + static_cast<int64_t>(i)] = request.pool.position_of(slots[i]);

  for (int64_t begin = 0; begin < request.n_queries; begin += kRows) {
    const int64_t n = std::min(kRows, request.n_queries - begin);
    const at::Tensor weight = mass(request, keys, positions, begin, n);
    for (int64_t t = 0; t < n; ++t) {
      const int64_t query = begin + t, last = request.first + query - request.window;
      const int64_t* end = std::upper_bound(position + n_sinks, position + keys.size(0), last);
      const int64_t visible = end - (position + n_sinks);
      const int64_t k = std::min(visible, selection.top_k);
      selection.counts[static_cast<size_t>(query)] = static_cast<int32_t>(k);
      if (k == 0) continue;
      const at::Tensor best =
          std::get<0>(at::sort(std::get<1>(at::topk(weight[t].narrow(0, n_sinks, visible), k))));
      const int64_t* rank = best.const_data_ptr<int64_t>();
      for (int64_t i = 0; i < k; ++i)
        selection.slots[static_cast<size_t>(query * selection.top_k + i)] =
            slots[static_cast<size_t>(rank[i])];
    }
  }
}

}  // namespace

std::unique_ptr<Selector> make_oracle_selector(const AttentionShape& shape, int64_t n_sinks,
                                               int64_t max_distance) {
  return std::make_unique<OracleSelector>(shape, n_sinks, max_distance);
}

}  // namespace dsrasq::policy
