#pragma once

// Rows of floats as int8 codes with one fp32 scale a row: how the pool holds keys, values and index
// keys. The codes are bit-equal on every instruction set.

#include <cstdint>

namespace dsrasq::kernels {

/// Largest code of a stored row, and of an index query. A query has 7 bits, so that the sum of two
/// products with an offset key byte, 2 * 63 * 255, fits in the 16 bits of the older dot products.
inline constexpr int kMaxCode = 127;
inline constexpr int kMaxQueryCode = 63;

/// Writes `codes` [n_rows, dim] and `scale` [n_rows] with `x ~ codes * scale`, for `x`
/// [n_rows, dim]: scale = amax / max_code, code = x * (max_code / amax) rounded to nearest even.
/// A row whose amax is below 1e-30 gets scale 0 and codes 0. Values must be finite.
void quantize_rows(const float* x, int64_t n_rows, int64_t dim, int8_t* codes, float* scale,
                   int max_code = kMaxCode);

/// The same by plain loops: the oracle.
void quantize_rows_ref(const float* x, int64_t n_rows, int64_t dim, int8_t* codes, float* scale,
                       int max_code = kMaxCode);

/// Writes `x` [n_rows, dim] = codes [n_rows, dim] * scale [n_rows].
void dequantize_rows(const int8_t* codes, const float* scale, int64_t n_rows, int64_t dim,
                     float* x);

}  // namespace dsrasq::kernels
