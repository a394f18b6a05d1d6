#pragma once

// Where a packed panel keeps its numbers: shared by the packing and the kernels, not by callers.
//
// A panel holds C = 48 columns for all k, in blocks of `groups` groups of `group` consecutive k:
//   codes   words [groups][group * bits / 32][C]; byte j of one holds, of 8-bit codes, that of its
//           k = j; of 4-bit codes those of k = j (low half) and of k = j + 4
//   kHalf      d f16 [C]                                 w = d * code
//   kHalfMin   d f16 [C], m f16 [C]                      w = d * code + m
//   kSuper     s i8 [groups][C], d f16 [C]               w = (d * s) * code
//   kSuperMin  s, t i8 [groups][2][C], d, e f16 [2][C]   w = (d * s) * code - e * t
// Plain numbers are [k][C]. Reading a panel is one sequential stream. All products are exact in
// fp32, so that w is rounded at most once, however it is computed.

#include <bit>
#include <cstdint>

#include "dsrasq/kernels/packed_linear.h"

namespace dsrasq::kernels {

enum class PanelScale : uint8_t { kNone, kHalf, kHalfMin, kSuper, kSuperMin };

struct PanelLayout {
  int bits;    ///< of a code
  int group;   ///< k that share a scale (plain numbers: 1)
  int groups;  ///< per block
  PanelScale scale;
  bool is_signed_nibble = false;  ///< 4-bit codes stand for -8..7 instead of 0..15

  constexpr int code_bytes() const { return bits * group * kPanelColumns / 8; }  ///< of a group
  constexpr int scale_bytes() const {                                            ///< of a block
    switch (scale) {
      case PanelScale::kNone: return 0;
      case PanelScale::kHalf: return 2 * kPanelColumns;
      case PanelScale::kHalfMin: return 4 * kPanelColumns;
      case PanelScale::kSuper: return (groups + 2) * kPanelColumns;
      case PanelScale::kSuperMin: return (2 * groups + 4) * kPanelColumns;
    }
    return 0;
  }
  constexpr int block_bytes() const { return groups * code_bytes() + scale_bytes(); }
  constexpr int block_weights() const { return groups * group; }
};

constexpr PanelLayout panel_layout(PanelFormat format) {
  switch (format) {
    case PanelFormat::kF32: return {32, 1, 1, PanelScale::kNone};
    case PanelFormat::kF16: return {16, 1, 1, PanelScale::kNone};
    case PanelFormat::kBF16: return {16, 1, 1, PanelScale::kNone};
    case PanelFormat::kQ8: return {8, 32, 1, PanelScale::kHalf};
    case PanelFormat::kQ8Min: return {8, 32, 1, PanelScale::kHalfMin};
    case PanelFormat::kQ4: return {4, 32, 1, PanelScale::kHalf, true};
    case PanelFormat::kQ4Min: return {4, 32, 1, PanelScale::kHalfMin};
    case PanelFormat::kQ4K: return {4, 32, 8, PanelScale::kSuperMin};
    case PanelFormat::kQ5K: return {8, 32, 8, PanelScale::kSuperMin};
    case PanelFormat::kQ6K: return {8, 16, 16, PanelScale::kSuper};
  }
  return {};
}

/// IEEE half to float, exact.
inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t rest = half & 0x7FFF;
  if (rest >= 0x7C00) return std::bit_cast<float>(sign | 0x7F800000 | rest << 13);
  if (rest < 0x0400) {  // subnormal or zero
    const float magnitude = static_cast<float>(rest) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | (rest + (112 << 10)) << 13);
}

}  // namespace dsrasq::kernels
