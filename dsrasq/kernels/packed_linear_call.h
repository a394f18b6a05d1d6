#pragma once

// What the kernels of packed_linear are told: shared by them, not by callers.

#include <cstddef>
#include <cstdint>

#include "dsrasq/kernels/packed_linear.h"

namespace dsrasq::kernels {

/// Up to kMostDirectRows rows, weights go from memory to the sums in registers. With more, a panel
/// is expanded first.
inline constexpr int64_t kMostDirectRows = 8;

/// Rows of x in blocks of 32 as `x ~ scale * code`, for products of integers (int8_rows.h).
struct RowCodes {
  /// Over groups of k that share a scale of the weights, `[m, cols / group]`.
  struct Sums {
    const int32_t* codes;  ///< sum of the group's codes
    const float* values;   ///< the same times the scale
  };
  const int8_t* codes;  ///< `[m, cols]`
  const float* scale;   ///< `[m, cols / 32]`
  Sums of_16, of_32;
};

struct LinearCall {
  const float* x;
  int64_t m, x_stride;
  float* y;
  int64_t y_stride;
  const float* bias;
  const std::byte* data;
  int64_t cols;
  const RowCodes* codes = nullptr;  ///< where products are of integers
};

/// A part of the work: panels of one run, rows of x.
struct LinearTile {
  const PanelRun* run;
  int64_t panel_begin, panel_end;  ///< within the run
  int64_t row_begin, row_end;
};

/// Products of integers for a tile of a format with codes, by the best instructions of this
/// machine; null where it has none that pay.
using LinearTileFunction = void (*)(const LinearCall& call, const LinearTile& tile);
LinearTileFunction int8_tile_function();

/// Rows of x `[m, cols]` as codes, in memory of the calling thread that its next call reuses.
RowCodes encode_rows(const float* x, int64_t m, int64_t cols, int64_t x_stride);

}  // namespace dsrasq::kernels
