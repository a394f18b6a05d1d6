#pragma once

// The two 16-bit floats of model files, widened to fp32. Both conversions are exact.

#include <bit>
#include <cstdint>

namespace dsrasq::formats {

inline float bf16_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// IEEE binary16, subnormals, infinities and NaNs included.
inline float half_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t magnitude = static_cast<uint32_t>(bits & 0x7fff) << 13;
  constexpr uint32_t kInfinity = 0x7c00u << 13;
  if (magnitude >= kInfinity) return std::bit_cast<float>(sign | 0x7f800000u | magnitude);
  // Read as fp32, the exponent is 112 too small; the product is exact for subnormals too.
  constexpr float kRescale = 0x1p112f;
  return std::bit_cast<float>(sign |
                              std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * kRescale));
}

}  // namespace dsrasq::formats
