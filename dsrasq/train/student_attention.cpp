#include "dsrasq/train/student_attention.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <vector>

#include "dsrasq/ops/recompute.h"
#include "dsrasq/train/sparse_rows.h"

namespace dsrasq::train {
namespace {

// Rows at once, and values of any one matrix that is made for them.
constexpr int64_t kChunkRows = 8192, kChunkRowsCpu = 256;
constexpr int64_t kChunkElements = 1 << 27, kChunkElementsCpu = 1 << 22;

int64_t rows_at_once(const DenseAttention& a, const StudentRules& rules) {
  if (rules.chunk_rows > 0) return rules.chunk_rows;
  const bool is_cpu = a.q.device().is_cpu();
  const int64_t n_tokens = a.q.size(0), n_heads = a.q.size(1);
  const int64_t kv_width = a.k.size(1) * a.k.size(2);
  const int64_t n_columns = std::max<int64_t>(0, n_tokens - rules.window - rules.sinks);
  // One that the custom pick takes may be any number.
  const int64_t n_picks = rules.pick ? n_columns : std::min(rules.top_k, n_columns);
  const int64_t most_values = std::max({std::min(2 * n_heads * n_columns, n_picks * kv_width),
                                        n_columns, n_heads * 2 * std::min(rules.window, n_tokens)});
  const int64_t budget = is_cpu ? kChunkElementsCpu : kChunkElements;
  return std::clamp<int64_t>(budget / most_values, 1, is_cpu ? kChunkRowsCpu : kChunkRows);
}

SparseRowsInput rows_input(const DenseAttention& a, const PoolRows& rows) {
  const auto own = [&](const at::Tensor& t) {
    return t.narrow(0, rows.begin, rows.end - rows.begin);
  };
  const auto up_to_end = [&](const at::Tensor& t) { return t.narrow(0, 0, rows.end); };
  SparseRowsInput in{.q = own(a.q), .k = up_to_end(a.k), .v = up_to_end(a.v)};
  if (a.d_max > 0 && rows.end > a.d_max) {
    in.q_far = own(a.q_far);
    in.k_plain = up_to_end(a.k_plain);
  }
  return in;
}

}  // namespace

StudentRead attend_sparsely(const DenseAttention& a, const StudentIndex* index,
                            const StudentRules& rules) {
  const int64_t n_tokens = a.q.size(0), n_rows = rows_at_once(a, rules);
  const bool has_horizon = rules.horizon > 0;
  const auto sums = a.q.options().dtype(index ? index->key.scalar_type() : at::kFloat);
  StudentRead read{.picked = at::zeros({}, sums.requires_grad(false))};
  if (rules.counts_expected) read.expected = at::zeros_like(read.picked);
  std::vector<at::Tensor> parts;
  for (int64_t begin = 0, end = 0; begin < n_tokens; begin = end) {
    end = std::min(begin + n_rows, n_tokens);
    const int64_t block = begin / rules.horizon_block * rules.horizon_block;
    if (has_horizon) end = std::min(end, block + rules.horizon_block);
    SparseRowsRules own{
        .rows = {.begin = begin,
                 .end = end,
                 .sinks = rules.sinks,
                 .window = rules.window,
                 .pool = rules.pool,
                 .first_live = has_horizon ? std::max<int64_t>(0, block - rules.horizon) : 0},
        .scale = a.scale,
        .softcap = a.softcap,
        .d_max = a.d_max};
    SparseRowsInput in = rows_input(a, own.rows);
    if (index != nullptr && own.rows.n_columns() > 0 && rules.top_k > 0) {
      const Selection selection = select_tokens(*index, own.rows, rules);
      own.columns = selection.columns;
      in.log_ratio = selection.log_ratio;
      read.picked.add_(selection.count);
      if (selection.expected.defined()) read.expected = read.expected + selection.expected;
    }
    parts.push_back(ops::recomputed(
        [own](const std::vector<at::Tensor>& t) {
          return std::vector<at::Tensor>{attend_rows(SparseRowsInput::of(t), own)};
        },
        in.list())[0]);
  }
  read.out = at::cat(parts);
  return read;
}

}  // namespace dsrasq::train
