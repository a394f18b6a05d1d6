#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "dsrasq/cuda/index_rows.h"
#include "dsrasq/cuda/index_scan.h"
#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/ops/device_pointers.h"
#include "dsrasq/train/device_selection.h"

namespace dsrasq::train {
namespace {

using ops::device_pointer;

constexpr int64_t kEverything = int64_t{1} << 40;  // a pool that nothing leaves
constexpr double kNoScore = -1e30;

struct Codes {
  at::Tensor codes, scale;
};

// Of rows [..., d_i], with `n_spare` rows of zeros behind them.
Codes codes_of(const at::Tensor& rows, int max_code, int64_t n_spare) {
  const at::Tensor flat = rows.to(at::kFloat).contiguous().flatten(0, -2);
  const int64_t n = flat.size(0), dim = flat.size(1);
  Codes out{at::zeros({n + n_spare, dim}, flat.options().dtype(at::kChar)),
            at::zeros({n + n_spare}, flat.options())};
  cuda::quantize_rows(flat.const_data_ptr<float>(), n, static_cast<int32_t>(dim), max_code,
                      device_pointer<int8_t>(out.codes), device_pointer<float>(out.scale),
                      ops::current_stream(flat.device()));
  return out;
}

bool is_known(const StudentIndex& index, int64_t top_k) {
  const int64_t dim = index.key.size(1);
  return index.key.is_cuda() && index.is_rounded && (dim == 32 || dim == 64) &&
         index.query.size(0) <= 8 && top_k <= cuda::most_selected();
}

}  // namespace

std::optional<BestTokens> best_on_device(const StudentIndex& index, const PoolRows& rows,
                                         int64_t top_k) {
  if (!is_known(index, top_k)) return std::nullopt;
  const int64_t n_heads = index.query.size(0), dim = index.key.size(1);
  const int64_t n_rows = rows.end - rows.begin, k = std::min(top_k, rows.n_columns());
  const auto padded = cuda::padded_heads(static_cast<int32_t>(n_heads));
  // [T, n_h, d_i], the heads filled up.
  const at::Tensor query = at::constant_pad_nd(
      index.query.narrow(1, rows.begin, n_rows).transpose(0, 1), {0, 0, 0, padded - n_heads});
  const at::Tensor head_weight =
      at::constant_pad_nd(index.weight.narrow(0, rows.begin, n_rows), {0, padded - n_heads});
  const Codes queries = codes_of(query, kernels::kMaxQueryCode, 0);
  const at::Tensor weight =
      (queries.scale.view({n_rows, padded}) * head_weight.to(at::kFloat)).contiguous();
  // A ring that never comes round.
  const int64_t capacity = (rows.end / cuda::kRingStep + 2) * cuda::kRingStep;
  const Codes keys =
      codes_of(index.key.narrow(0, 0, rows.end), kernels::kMaxCode, capacity - rows.end);
  const auto ints = weight.options().dtype(at::kInt);
  const at::Tensor selected = at::empty({n_rows, k}, ints), count = at::empty({n_rows}, ints);
  const at::Tensor scores = at::empty({n_rows, k}, weight.options());
  const at::Tensor log_mass = at::empty({n_rows}, weight.options());
  cuda::select_top_k({.query = device_pointer<int8_t>(queries.codes),
                      .weight = device_pointer<float>(weight),
                      .padded_heads = padded,
                      .dim = static_cast<int32_t>(dim),
                      .key = device_pointer<int8_t>(keys.codes),
                      .key_scale = device_pointer<float>(keys.scale),
                      .capacity = capacity,
                      // Token by token, not in pages: the last `pool` tokens before the window.
                      .rule = {.window = rows.window,
                               .pool = rows.pool > 0 ? rows.pool - 1 : kEverything,
                               .block = 1,
                               .sinks = rows.sinks,
                               .page = 1},
                      .n = n_rows,
                      .first = rows.begin,
                      .k = static_cast<int32_t>(k),
                      .best_first = false,
                      .selected = device_pointer<int32_t>(selected),
                      .n_selected = device_pointer<int32_t>(count),
                      .scores = device_pointer<float>(scores),
                      .log_mass = device_pointer<float>(log_mass),
                      .scratch = nullptr},
                     ops::current_stream(weight.device()));
  return BestTokens{
      .columns = at::where(selected < 0, rows.n_columns(), selected - rows.sinks).to(at::kInt),
      .scores = scores.clamp_min(kNoScore),
      .log_mass = log_mass.unsqueeze(1),
      .count = count};
}

}  // namespace dsrasq::train
