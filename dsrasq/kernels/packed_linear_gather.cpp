// Single rows out of packed panels: the embedding look-up.

#include <cstring>

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/packed_linear.h"
#include "dsrasq/kernels/packed_linear_layout.h"

namespace dsrasq::kernels {
namespace {

uint16_t u16_at(const uint8_t* p) { return static_cast<uint16_t>(p[0] | p[1] << 8); }

float plain(PanelFormat format, const uint8_t* p) {
  if (format == PanelFormat::kF16) return half_to_float(u16_at(p));
  if (format == PanelFormat::kBF16)
    return std::bit_cast<float>(static_cast<uint32_t>(u16_at(p)) << 16);
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

struct Scale {
  float d, m;
};

Scale scale_of(const PanelLayout& layout, const uint8_t* scales, int group, int column) {
  const auto half = [&](int row) {
    return half_to_float(u16_at(scales + 2 * (row * kPanelColumns + column)));
  };
  const auto byte = [&](int row) {
    return static_cast<float>(static_cast<int8_t>(scales[row * kPanelColumns + column]));
  };
  switch (layout.scale) {
    case PanelScale::kNone: break;
    case PanelScale::kHalf: return {half(0), 0};
    case PanelScale::kHalfMin: return {half(0), half(1)};
    case PanelScale::kSuper: {
      const float s = byte(group);
      scales += layout.groups * kPanelColumns;
      return {half(0) * s, 0};
    }
    case PanelScale::kSuperMin: {
      const float s = byte(2 * group), t = byte(2 * group + 1);
      scales += 2 * layout.groups * kPanelColumns;
      return {half(0) * s, -(half(1) * t)};
    }
  }
  return {1, 0};
}

int code_of(const PanelLayout& layout, const uint8_t* codes, int k, int column) {
  const int word = k * layout.bits / 32;
  const uint8_t byte = codes[(word * kPanelColumns + column) * 4 + k % 4];
  if (layout.bits == 8) return static_cast<int8_t>(byte);
  return (k % 8 < 4 ? byte & 15 : byte >> 4) - (layout.is_signed_nibble ? 8 : 0);
}

void gather_column(PanelFormat format, const uint8_t* panel, int column, int64_t cols, float* y) {
  const PanelLayout layout = panel_layout(format);
  if (layout.scale == PanelScale::kNone) {
    for (int64_t k = 0; k < cols; ++k)
      y[k] = plain(format, panel + (k * kPanelColumns + column) * layout.bits / 8);
    return;
  }
  const bool has_min =
      layout.scale == PanelScale::kHalfMin || layout.scale == PanelScale::kSuperMin;
  for (int64_t k = 0; k < cols; k += layout.block_weights(), panel += layout.block_bytes()) {
    const uint8_t* scales = panel + layout.groups * layout.code_bytes();
    for (int g = 0; g < layout.groups; ++g) {
      const Scale scale = scale_of(layout, scales, g, column);
      for (int j = 0; j < layout.group; ++j, ++y) {
        *y = static_cast<float>(code_of(layout, panel, g * layout.group + j, column)) * scale.d;
        if (has_min) *y += scale.m;
      }
    }
  }
}

}  // namespace

void gather_rows(const PackedLinear& w, const int32_t* rows, int64_t n, float* y) {
  for (int64_t i = 0; i < n; ++i, y += w.cols()) {
    DSRASQ_CHECK(rows[i] >= 0 && rows[i] < w.rows(), kInvalidArgument, "kernels.packed_linear",
                 "row ", rows[i], " of a matrix of ", w.rows(), " rows");
    size_t r = 0;
    while (rows[i] >= w.runs()[r].first_row + w.runs()[r].rows) ++r;
    const PanelRun& run = w.runs()[r];
    const int64_t row = rows[i] - run.first_row;
    const auto* panel = reinterpret_cast<const uint8_t*>(w.data()) + run.offset +
                        row / kPanelColumns * run.panel_bytes;
    gather_column(run.format, panel, static_cast<int>(row % kPanelColumns), w.cols(), y);
  }
}

}  // namespace dsrasq::kernels
