#pragma once

// y = x W^T with W kept quantised in memory: in fp32 on its exact values, or in integers on its
// codes and on x in 8 bits.
//
// Batch invariance: within one instruction set, the bits of an output row depend on its input row
// and the weights alone, never on the number of rows in the call, on threads, or on tiling. Every
// output is one chain of fused multiply-adds: in fp32 over k = 0, 1, ..., K - 1, in integers over
// groups of k, within which the sum is exact.

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dsrasq/core/buffer.h"

namespace dsrasq::kernels {

/// How a row of stored weights is coded: plain numbers, or the blocks of GGML (little-endian).
enum class WeightType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ4_K,
  kQ5_K,
  kQ6_K
};

/// The unit in which a row of a type is stored.
struct WeightBlock {
  int weights;  ///< per block; a row is whole blocks
  int bytes;    ///< per block
};
WeightBlock weight_block(WeightType type) noexcept;

/// The bytes of one stored row of `cols` weights.
int64_t weight_row_bytes(WeightType type, int64_t cols) noexcept;

/// A stored matrix `[rows, cols]`, row after row with no padding. Borrowed, and only for `pack`.
struct WeightSource {
  WeightType type;
  const std::byte* data;  ///< rows * weight_row_bytes(type, cols), any alignment
  int64_t rows, cols;
  const int32_t* row_map = nullptr;  ///< [rows], logical row r is stored row row_map[r]; null: r
};

/// How packed weights are coded. The names give the bits of a code and the source of its scales.
enum class PanelFormat : uint8_t { kF32, kF16, kBF16, kQ8, kQ8Min, kQ4, kQ4Min, kQ4K, kQ5K, kQ6K };

/// Output columns of a panel: they lie side by side in memory, k by k. 48 are 3 vectors of AVX-512:
/// enough sums in flight to hide the latency of a multiply-add, and a tile of 8 rows fits.
inline constexpr int kPanelColumns = 48;

/// Consecutive rows of W with one format, in panels of 48 rows (the last is filled up with zeros).
struct PanelRun {
  PanelFormat format;
  int64_t first_row = 0, rows = 0;
  int64_t first_panel = 0, n_panels = 0;
  int64_t offset = 0;       ///< of its first panel in `PackedLinear::data()`, bytes
  int64_t panel_bytes = 0;  ///< a multiple of 64
};

/// A weight matrix `[rows, cols]` repacked for `linear`. Takes about the bytes of its source:
/// 4-bit types 4.6 to 5 bits a weight, 5- to 8-bit types 8.5 to 9. Immutable; movable.
class PackedLinear {
 public:
  PackedLinear() = default;

  /// Stacks the parts by rows, e.g. q, k and v. Types may differ, `cols` may not. Throws
  /// kInvalidArgument for shapes that do not fit, kResourceExhausted when there is no memory.
  static PackedLinear pack(std::span<const WeightSource> parts);

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  size_t bytes() const { return bytes_; }

  /// What the kernels read.
  std::span<const PanelRun> runs() const { return runs_; }
  const std::byte* data() const { return data_.data(); }
  int64_t n_panels() const {
    return runs_.empty() ? 0 : runs_.back().first_panel + runs_.back().n_panels;
  }

 private:
  int64_t rows_ = 0, cols_ = 0;
  size_t bytes_ = 0;
  std::vector<PanelRun> runs_;
  RawBuffer data_;
};

/// What is multiplied. `kInt8`: where W has codes (not plain numbers) and the machine has AVX2,
/// codes times x in blocks of 32 of 8 bits, which changes x by at most half of 1/127 of a block's
/// largest value; elsewhere as `kFp32`.
enum class Products : uint8_t { kFp32, kInt8 };
/// Whether this machine has what `kInt8` wants.
bool has_int8_products();
/// For tests: as on a machine without AVX-512's VNNI, or by what there is.
void allow_linear_vnni(bool allowed);

/// y = x W^T (+ bias). `x` `[m, cols]`, `y` `[m, rows]`, strides in floats between rows; x and y
/// may not overlap; `bias` `[rows]` or null. Runs on the threads of `parallel_for`.
void linear(const PackedLinear& w, const float* x, int64_t m, int64_t x_stride, float* y,
            int64_t y_stride, const float* bias = nullptr, Products products = Products::kFp32);

/// y[i] = row rows[i] of W, `[n, cols]` without padding: the embedding look-up. Exact values.
/// Throws kInvalidArgument for a row outside the matrix.
void gather_rows(const PackedLinear& w, const int32_t* rows, int64_t n, float* y);

/// The instruction set `linear` runs, e.g. "AVX3".
const char* linear_target();

/// Plain loops over the stored form: the answer `PackedLinear` is tested against.
/// The exact values of one stored row.
void dequantize_row_ref(WeightType type, const std::byte* row, int64_t cols, float* out);

/// y = x W^T (+ bias) in double, rounded once. Same shapes as `linear`.
void linear_ref(std::span<const WeightSource> parts, const float* x, int64_t m, int64_t x_stride,
                float* y, int64_t y_stride, const float* bias = nullptr);

}  // namespace dsrasq::kernels
