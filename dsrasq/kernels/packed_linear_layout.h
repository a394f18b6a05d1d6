#pragma once

// Where a packed panel keeps its numbers: shared by the packing and the kernels, not by callers.
//
// A panel holds 16 columns for all k, in blocks of `groups` groups of `group` consecutive k:
//   codes   [groups][group][16]   4-bit: [groups][group / 8][16] words, k % 8 = nibble of the word
//   kHalf      d f16 [16]                                  w = d * code
//   kHalfMin   d f16 [16], m f16 [16]                      w = d * code + m
//   kSuper     s i8 [groups][16], d f16 [16]               w = (d * s) * code
//   kSuperMin  s, t i8 [groups][2][16], d, e f16 [2][16]   w = (d * s) * code - e * t
// Up to 3 neighbouring panels share a bundle: block 0 of each, then block 1 of each, and so on, so
// that reading them side by side is one sequential stream. All products are exact in fp32, so that
// w is rounded at most once, however it is computed.

#include <algorithm>
#include <bit>
#include <cstdint>

#include "dsrasq/kernels/packed_linear.h"

namespace dsrasq::kernels {

inline constexpr int kBundlePanels = 3;

enum class PanelScale : uint8_t { kNone, kHalf, kHalfMin, kSuper, kSuperMin };

struct PanelLayout {
  int bits;    ///< of a code
  int group;   ///< k that share a scale (plain numbers: that share a block)
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
    case PanelFormat::kF32: return {32, 8, 1, PanelScale::kNone};
    case PanelFormat::kF16: return {16, 8, 1, PanelScale::kNone};
    case PanelFormat::kBF16: return {16, 8, 1, PanelScale::kNone};
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

/// The largest block, 4416 bytes.
inline constexpr int kMaxBlockBytes = panel_layout(PanelFormat::kQ5K).block_bytes();

/// Where a panel of a run is: its block b begins at `first + b * stride`.
struct PanelPlace {
  int64_t first;   ///< in `PackedLinear::data()`, bytes
  int64_t stride;  ///< bytes; block_bytes() further lies the next panel of the bundle
};

inline PanelPlace panel_place(const PanelRun& run, int64_t panel) {
  const int64_t block_bytes = panel_layout(run.format).block_bytes();
  const int64_t in_bundle = panel % kBundlePanels, bundle = panel - in_bundle;
  const int64_t width = std::min<int64_t>(kBundlePanels, run.n_panels - bundle);
  return {run.offset + bundle * run.panel_bytes + in_bundle * block_bytes, width * block_bytes};
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
