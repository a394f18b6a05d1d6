#include "dsrasq/formats/dequantize.h"

#include <cstring>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/half.h"

// Block layouts: the table of ggml-common.h, as in ggml's docs/gguf.md. A function here widens one
// block; the order of its float operations is that of ggml, so that results are bit-equal.

namespace dsrasq::formats {
namespace {

float half_at(const uint8_t* at) {
  uint16_t bits = 0;
  std::memcpy(&bits, at, sizeof(bits));
  return half_to_float(bits);
}

uint32_t uint32_at(const uint8_t* at) {
  uint32_t value = 0;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

// The 32-weight blocks: weight j and weight j + 16 share the byte j.

void q4_0(const uint8_t* block, float* dst) {
  const float d = half_at(block);
  for (int j = 0; j < 16; ++j) {
    const int q = block[2 + j];
    dst[j] = d * static_cast<float>((q & 15) - 8);
    dst[j + 16] = d * static_cast<float>((q >> 4) - 8);
  }
}

void q4_1(const uint8_t* block, float* dst) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int q = block[4 + j];
    dst[j] = d * static_cast<float>(q & 15) + m;
    dst[j + 16] = d * static_cast<float>(q >> 4) + m;
  }
}

void q5_0(const uint8_t* block, float* dst) {
  const float d = half_at(block);
  const uint32_t high = uint32_at(block + 2);
  for (int j = 0; j < 16; ++j) {
    const int q = block[6 + j];
    const int high_0 = static_cast<int>(high >> j & 1) << 4;
    const int high_1 = static_cast<int>(high >> (j + 16) & 1) << 4;
    dst[j] = d * static_cast<float>(((q & 15) | high_0) - 16);
    dst[j + 16] = d * static_cast<float>(((q >> 4) | high_1) - 16);
  }
}

void q5_1(const uint8_t* block, float* dst) {
  const float d = half_at(block), m = half_at(block + 2);
  const uint32_t high = uint32_at(block + 4);
  for (int j = 0; j < 16; ++j) {
    const int q = block[8 + j];
    const int high_0 = static_cast<int>(high >> j & 1) << 4;
    const int high_1 = static_cast<int>(high >> (j + 16) & 1) << 4;
    dst[j] = d * static_cast<float>((q & 15) | high_0) + m;
    dst[j + 16] = d * static_cast<float>((q >> 4) | high_1) + m;
  }
}

void q8_0(const uint8_t* block, float* dst) {
  const float d = half_at(block);
  for (int j = 0; j < 32; ++j) dst[j] = d * static_cast<float>(static_cast<int8_t>(block[2 + j]));
}

// The 256-weight blocks of Q4_K and Q5_K: eight groups of 32, each with a scale and a minimum.

struct GroupScale {
  float scale, minimum;
};

/// Six bits each, packed in 12 bytes: get_scale_min_k4 of ggml.
GroupScale group_scale(const uint8_t* packed, int group, float d, float d_minimum) {
  int scale = 0, minimum = 0;
  if (group < 4) {
    scale = packed[group] & 63;
    minimum = packed[group + 4] & 63;
  } else {
    scale = (packed[group + 4] & 15) | (packed[group - 4] >> 6 << 4);
    minimum = (packed[group + 4] >> 4) | (packed[group] >> 6 << 4);
  }
  return {d * static_cast<float>(scale), d_minimum * static_cast<float>(minimum)};
}

/// `high` holds the fifth bits ([32], bit `group` of each byte), or is null.
void k4_or_k5(const uint8_t* block, const uint8_t* high, const uint8_t* low, float* dst) {
  const float d = half_at(block), d_minimum = half_at(block + 2);
  for (int group = 0; group < 8; ++group) {
    const auto [scale, minimum] = group_scale(block + 4, group, d, d_minimum);
    const uint8_t* nibbles = low + group / 2 * 32;
    const int shift = group % 2 * 4;
    for (int j = 0; j < 32; ++j) {
      int q = nibbles[j] >> shift & 15;
      if (high != nullptr) q |= (high[j] >> group & 1) << 4;
      dst[group * 32 + j] = scale * static_cast<float>(q) - minimum;
    }
  }
}

void q4_k(const uint8_t* block, float* dst) { k4_or_k5(block, nullptr, block + 16, dst); }
void q5_k(const uint8_t* block, float* dst) { k4_or_k5(block, block + 16, block + 48, dst); }

/// Two halves of 128 weights; in each, four groups of 32 that share 64 low and 32 high bytes.
void q6_k(const uint8_t* block, float* dst) {
  const float d = half_at(block + 208);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + half * 64;
    const uint8_t* high = block + 128 + half * 32;
    const uint8_t* scales = block + 192 + half * 8;
    for (int group = 0; group < 4; ++group) {
      for (int j = 0; j < 32; ++j) {
        const int nibble = low[group % 2 * 32 + j] >> (group / 2 * 4) & 15;
        const int q = (nibble | (high[j] >> (group * 2) & 3) << 4) - 32;
        const float scale = d * static_cast<float>(static_cast<int8_t>(scales[group * 2 + j / 16]));
        dst[half * 128 + group * 32 + j] = scale * static_cast<float>(q);
      }
    }
  }
}

template <class Widen>
void each_block(const uint8_t* src, int64_t n, const GgmlTypeInfo& info, float* dst, Widen widen) {
  for (int64_t i = 0; i < n; i += info.block, src += info.block_bytes) widen(src, dst + i);
}

}  // namespace

void dequantize(GgmlType type, const std::byte* src, int64_t n, float* dst) {
  ggml_row_bytes(type, n);  // refuses other types and part blocks
  const auto info = *ggml_type_info(type);
  const auto* bytes = reinterpret_cast<const uint8_t*>(src);
  switch (type) {
    case GgmlType::kF32:
      if (n > 0) std::memcpy(dst, src, static_cast<size_t>(n) * sizeof(float));
      return;
    case GgmlType::kF16:
      return each_block(bytes, n, info, dst, [](auto* at, float* to) { *to = half_at(at); });
    case GgmlType::kBF16:
      return each_block(bytes, n, info, dst, [](auto* at, float* to) {
        *to = bf16_to_float(static_cast<uint16_t>(at[0] | at[1] << 8));
      });
    case GgmlType::kQ4_0: return each_block(bytes, n, info, dst, q4_0);
    case GgmlType::kQ4_1: return each_block(bytes, n, info, dst, q4_1);
    case GgmlType::kQ5_0: return each_block(bytes, n, info, dst, q5_0);
    case GgmlType::kQ5_1: return each_block(bytes, n, info, dst, q5_1);
    case GgmlType::kQ8_0: return each_block(bytes, n, info, dst, q8_0);
    case GgmlType::kQ4_K: return each_block(bytes, n, info, dst, q4_k);
    case GgmlType::kQ5_K: return each_block(bytes, n, info, dst, q5_k);
    case GgmlType::kQ6_K: return each_block(bytes, n, info, dst, q6_k);
  }
}

}  // namespace dsrasq::formats
