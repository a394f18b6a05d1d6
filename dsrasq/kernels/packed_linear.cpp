// Highway compiles the kernels once per instruction set and picks one at run time.
#include "dsrasq/kernels/simd_targets.h"  // before Highway

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/packed_linear.cpp"
#include <hwy/foreach_target.h>  // before highway.h

#include <hwy/highway.h>

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/packed_linear.h"
#include "dsrasq/kernels/packed_linear_call.h"
#include "dsrasq/kernels/packed_linear_decode-inl.h"
#include "dsrasq/kernels/packed_linear_store-inl.h"
#include "dsrasq/kernels/scratch.h"

#ifndef DSRASQ_KERNELS_PACKED_LINEAR_CALL
#define DSRASQ_KERNELS_PACKED_LINEAR_CALL
namespace dsrasq::kernels {

// Rows that the direct path does at a time.
constexpr int kDirectRows = 4;
// A panel is expanded to fp32 in blocks of so many k: 192 KiB, for L2.
constexpr int64_t kBlockDepth = 1024;

}  // namespace dsrasq::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace {

// Register tile of the block path: rows of x by vectors of columns.
constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86;
constexpr int kTileRows = kManyRegisters ? 8 : 6;
constexpr int kTileVecs = kManyRegisters ? 3 : 2;
// Of the direct path for one row, whose sums in flight are few: a half or the whole of a panel.
constexpr int kRowVecs = kLanes >= 8 ? 3 : kTileVecs;

// Few rows: no fp32 copy of the weights. Rows past the end repeat the last one and are not stored.
template <PanelFormat kFormat, int kRows, int kVecs>
HWY_NOINLINE void direct(const LinearCall& call, const PanelRun& run, int64_t panel, int first,
                         int64_t row, int64_t rows) {
  const float* x[kRows];
  for (int r = 0; r < kRows; ++r)
    x[r] = call.x + (row + std::min<int64_t>(r, rows - 1)) * call.x_stride;
  Floats sum[kRows * kVecs];
  unroll<kRows * kVecs>([&](auto i) DSRASQ_INLINE_LAMBDA { sum[i] = hn::Zero(FloatTag()); });
  const auto add = [&](int64_t k, const Floats* w) DSRASQ_INLINE_LAMBDA {
    unroll<kRows>([&](auto r) DSRASQ_INLINE_LAMBDA {
      const Floats v = hn::Set(FloatTag(), x[r][k]);
      unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
        sum[r * kVecs + c] = hn::MulAdd(v, w[c], sum[r * kVecs + c]);
      });
    });
  };
  walk_panel<kFormat, kVecs>(panel_at(call, run, panel), first, 0, call.cols, add);
  const int64_t column = panel * kPanelColumns + first;
  store_sums<kRows, kVecs>(sum, call, row, rows, run.first_row + column, run.rows - column,
                           call.bias != nullptr);
}

template <PanelFormat kFormat, int kRows, int kVecs>
HWY_INLINE void direct_rows(const LinearCall& call, const LinearTile& tile, int64_t panel,
                            int64_t row, int64_t rows) {
  for (int column = 0; column < kPanelColumns; column += kVecs * kLanes)
    direct<kFormat, kRows, kVecs>(call, *tile.run, panel, column, row, rows);
}

template <PanelFormat kFormat>
void direct_panel(const LinearCall& call, const LinearTile& tile, int64_t panel) {
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kDirectRows) {
    const int64_t rows = std::min<int64_t>(kDirectRows, tile.row_end - row);
    if (rows == 1)
      direct_rows<kFormat, 1, kRowVecs>(call, tile, panel, row, rows);
    else
      direct_rows<kFormat, kDirectRows, kTileVecs>(call, tile, panel, row, rows);
  }
}

// fp32 weights of a panel for k in [begin, end): [k][kPanelColumns].
template <PanelFormat kFormat>
HWY_NOINLINE void expand(const uint8_t* panel, int64_t begin, int64_t end, float* out) {
  for (int column = 0; column < kPanelColumns; column += kTileVecs * kLanes) {
    const auto store = [&](int64_t k, const Floats* w) DSRASQ_INLINE_LAMBDA {
      float* at = out + (k - begin) * kPanelColumns + column;
      unroll<kTileVecs>([&](auto c)
                            DSRASQ_INLINE_LAMBDA { hn::Store(w[c], FloatTag(), at + c * kLanes); });
    };
    walk_panel<kFormat, kTileVecs>(panel, column, begin, end, store);
  }
}

// Columns [column, column + n) of `rows` rows for k in [begin, end), whose weights are at `b`.
template <int kRows>
HWY_NOINLINE void multiply(const LinearCall& call, int64_t row, int64_t rows, int64_t begin,
                           int64_t end, const float* b, int64_t column, int64_t n) {
  const float* x[kRows];
  for (int r = 0; r < kRows; ++r)
    x[r] = call.x + (row + std::min<int64_t>(r, rows - 1)) * call.x_stride + begin;
  Floats sum[kRows * kTileVecs];
  unroll<kRows * kTileVecs>([&](auto i) DSRASQ_INLINE_LAMBDA { sum[i] = hn::Zero(FloatTag()); });
  if (begin != 0) {  // go on from what the k before gave
    unroll<kRows * kTileVecs>([&](auto i) DSRASQ_INLINE_LAMBDA {
      const int r = i / kTileVecs, c = i % kTileVecs;
      if (r < rows)
        sum[i] =
            load_part(call.y + (row + r) * call.y_stride + column + c * kLanes, n - c * kLanes);
    });
  }
  const int64_t depth = end - begin;
  for (int64_t k = 0; k < depth; ++k, b += kPanelColumns) {
    Floats w[kTileVecs];
    unroll<kTileVecs>([&](auto c)
                          DSRASQ_INLINE_LAMBDA { w[c] = hn::Load(FloatTag(), b + c * kLanes); });
    unroll<kRows>([&](auto r) DSRASQ_INLINE_LAMBDA {
      const Floats v = hn::Set(FloatTag(), x[r][k]);
      unroll<kTileVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
        sum[r * kTileVecs + c] = hn::MulAdd(v, w[c], sum[r * kTileVecs + c]);
      });
    });
  }
  store_sums<kRows, kTileVecs>(sum, call, row, rows, column, n, call.bias && end == call.cols);
}

template <int kRows>
void multiply_rows(const LinearCall& call, const PanelRun& run, int64_t panel, int64_t row,
                   int64_t rows, int64_t begin, int64_t end, const float* b) {
  for (int first = 0; first < kPanelColumns; first += kTileVecs * kLanes) {
    const int64_t column = panel * kPanelColumns + first;
    multiply<kRows>(call, row, rows, begin, end, b + first, run.first_row + column,
                    run.rows - column);
  }
}

template <PanelFormat kFormat>
void block_panel(const LinearCall& call, const LinearTile& tile, int64_t panel) {
  thread_local Scratch scratch;
  float* expanded = scratch.get<float>(kBlockDepth * kPanelColumns);
  for (int64_t begin = 0; begin < call.cols; begin += kBlockDepth) {
    const int64_t end = std::min(begin + kBlockDepth, call.cols);
    expand<kFormat>(panel_at(call, *tile.run, panel), begin, end, expanded);
    for (int64_t row = tile.row_begin; row < tile.row_end; row += kTileRows) {
      const int64_t rows = std::min<int64_t>(kTileRows, tile.row_end - row);
      if (rows <= kTileRows / 2)
        multiply_rows<kTileRows / 2>(call, *tile.run, panel, row, rows, begin, end, expanded);
      else
        multiply_rows<kTileRows>(call, *tile.run, panel, row, rows, begin, end, expanded);
    }
  }
}

template <PanelFormat kFormat>
void run_format(const LinearCall& call, const LinearTile& tile) {
  for (int64_t p = tile.panel_begin; p < tile.panel_end; ++p) {
    if (call.m <= kMostDirectRows)
      direct_panel<kFormat>(call, tile, p);
    else
      block_panel<kFormat>(call, tile, p);
  }
}

}  // namespace

void run_linear_tile(const LinearCall& call, const LinearTile& tile) {
  switch (tile.run->format) {
    case PanelFormat::kF32: return run_format<PanelFormat::kF32>(call, tile);
    case PanelFormat::kF16: return run_format<PanelFormat::kF16>(call, tile);
    case PanelFormat::kBF16: return run_format<PanelFormat::kBF16>(call, tile);
    case PanelFormat::kQ8: return run_format<PanelFormat::kQ8>(call, tile);
    case PanelFormat::kQ8Min: return run_format<PanelFormat::kQ8Min>(call, tile);
    case PanelFormat::kQ4: return run_format<PanelFormat::kQ4>(call, tile);
    case PanelFormat::kQ4Min: return run_format<PanelFormat::kQ4Min>(call, tile);
    case PanelFormat::kQ4K: return run_format<PanelFormat::kQ4K>(call, tile);
    case PanelFormat::kQ5K: return run_format<PanelFormat::kQ5K>(call, tile);
    case PanelFormat::kQ6K: return run_format<PanelFormat::kQ6K>(call, tile);
  }
}

const char* linear_target_name() { return hwy::TargetName(HWY_TARGET); }

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {
namespace {

HWY_EXPORT(run_linear_tile);
HWY_EXPORT(linear_target_name);

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The tiles of a call: units of panels (of all runs together) by blocks of rows.
struct Grid {
  int64_t unit_panels, n_units = 0;
  int64_t block_rows, n_blocks;

  Grid(const PackedLinear& w, int64_t m) {
    const int64_t wanted = 4 * num_threads();  // so that a thread that is late has little left
    unit_panels = std::clamp<int64_t>(w.n_panels() / wanted, 1, m <= kMostDirectRows ? 16 : 1);
    for (const PanelRun& run : w.runs()) n_units += divide_up(run.n_panels, unit_panels);
    const int64_t blocks = n_units >= wanted ? 1 : divide_up(wanted, n_units);
    block_rows = std::max<int64_t>(divide_up(divide_up(m, blocks), 24) * 24, 72);
    n_blocks = divide_up(m, block_rows);
  }
};

void run_tile(const LinearCall& call, const LinearTile& tile) {
  const bool has_codes = panel_layout(tile.run->format).scale != PanelScale::kNone;
  if (call.codes != nullptr && has_codes) return int8_tile_function()(call, tile);
  HWY_DYNAMIC_DISPATCH(run_linear_tile)(call, tile);
}

void run_tile(const LinearCall& call, const PackedLinear& w, const Grid& grid, int64_t index) {
  int64_t unit = index % grid.n_units;
  const int64_t row = index / grid.n_units * grid.block_rows;
  for (const PanelRun& run : w.runs()) {
    const int64_t n_units = divide_up(run.n_panels, grid.unit_panels);
    if (unit < n_units) {
      const int64_t panel = unit * grid.unit_panels;
      const LinearTile tile{&run, panel, std::min(panel + grid.unit_panels, run.n_panels), row,
                            std::min(row + grid.block_rows, call.m)};
      return run_tile(call, tile);
    }
    unit -= n_units;
  }
}

bool has_codes(const PackedLinear& w) {
  return std::any_of(w.runs().begin(), w.runs().end(), [](const PanelRun& run) {
    return panel_layout(run.format).scale != PanelScale::kNone;
  });
}

}  // namespace

bool has_int8_products() { return int8_tile_function() != nullptr; }

void linear(const PackedLinear& w, const float* x, int64_t m, int64_t x_stride, float* y,
            int64_t y_stride, const float* bias, Products products) {
  DSRASQ_CHECK(x_stride >= w.cols() && y_stride >= w.rows(), kInvalidArgument,
               "kernels.packed_linear", "strides ", x_stride, " and ", y_stride,
               " are below the matrix's ", w.cols(), " and ", w.rows());
  if (m <= 0 || w.rows() == 0) return;
  LinearCall call{x, m, x_stride, y, y_stride, bias, w.data(), w.cols()};
  RowCodes codes;
  if (products == Products::kInt8 && has_int8_products() && has_codes(w)) {
    codes = encode_rows(x, m, w.cols(), x_stride);
    call.codes = &codes;
  }
  const Grid grid(w, m);
  parallel_for(grid.n_units * grid.n_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) run_tile(call, w, grid, i);
  });
}

const char* linear_target() { return HWY_DYNAMIC_DISPATCH(linear_target_name)(); }

}  // namespace dsrasq::kernels
#endif
