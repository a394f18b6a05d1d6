#pragma once

// From stored blocks to fp32: what the quantised types of ggml stand for.

#include <cstddef>
#include <cstdint>

#include "dsrasq/formats/ggml_type.h"

namespace dsrasq::formats {

/// Writes the `n` weights stored at `src` to `dst` ([n]), bit-equal to ggml's reference. `src`
/// holds `ggml_row_bytes(type, n)` bytes and needs no alignment. Throws kBadInput when the type is
/// not supported or `n` is not a whole number of blocks.
void dequantize(GgmlType type, const std::byte* src, int64_t n, float* dst);

}  // namespace dsrasq::formats
