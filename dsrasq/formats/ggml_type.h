#pragma once

// The tensor types of ggml: names and block sizes of all of them, so that a file can be listed; the
// eleven that the program computes with are the named constants.

#include <cstdint>
#include <optional>
#include <string>

namespace dsrasq::formats {

/// Storage types that `dequantize` reads. Files may hold other values, see `ggml_type_info`.
enum class GgmlType : uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBF16 = 30,
};

/// How a type stores `block` neighbouring weights of a row in `block_bytes` bytes.
struct GgmlTypeInfo {
  const char* name;  ///< as ggml writes it, e.g. "Q4_K"
  int64_t block;
  int64_t block_bytes;
  bool is_supported;  ///< false: can be listed, not computed with
};

/// Nothing for a number that no version of ggml known here uses.
std::optional<GgmlTypeInfo> ggml_type_info(GgmlType type);

/// "Q4_K", or "type 99" for an unknown number.
std::string ggml_type_name(GgmlType type);

/// "F32, F16, Q4_0, ...": what `dequantize` reads, for messages.
std::string supported_ggml_types();

/// Bytes of a row of `cols` weights. Throws kBadInput when the type is not supported or `cols` is
/// not a whole number of blocks.
int64_t ggml_row_bytes(GgmlType type, int64_t cols);

}  // namespace dsrasq::formats
