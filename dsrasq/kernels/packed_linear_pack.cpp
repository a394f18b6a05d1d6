// Loading: from rows of stored blocks to panels of columns.

#include <algorithm>
#include <cstring>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/packed_linear.h"
#include "dsrasq/kernels/packed_linear_layout.h"

namespace dsrasq::kernels {
namespace {

constexpr char kWhere[] = "kernels.packed_linear";
constexpr size_t kAlignment = 64;

PanelFormat panel_format(WeightType type) {
  switch (type) {
    case WeightType::kF32: return PanelFormat::kF32;
    case WeightType::kF16: return PanelFormat::kF16;
    case WeightType::kBF16: return PanelFormat::kBF16;
    case WeightType::kQ4_0: return PanelFormat::kQ4;
    case WeightType::kQ4_1: return PanelFormat::kQ4Min;
    case WeightType::kQ5_0:
    case WeightType::kQ8_0: return PanelFormat::kQ8;
    case WeightType::kQ5_1: return PanelFormat::kQ8Min;
    case WeightType::kQ4_K: return PanelFormat::kQ4K;
    case WeightType::kQ5_K: return PanelFormat::kQ5K;
    case WeightType::kQ6_K: return PanelFormat::kQ6K;
  }
  return PanelFormat::kF32;
}

// One stored block, taken apart: codes as the panel keeps them, scales as the file has them.
struct Unpacked {
  uint8_t code[256];  // 8-bit panels: the bits of an int8
  uint8_t half[4];    // d, then m or dmin: little-endian halves
  uint8_t scale[16], minimum[8];
};

void unpack_nibbles(const uint8_t* q, int n_bytes, uint8_t* low, uint8_t* high) {
  for (int j = 0; j < n_bytes; ++j) {
    low[j] = q[j] & 15;
    high[j] = q[j] >> 4;
  }
}

void unpack_five_bits(const uint8_t* high_bits, const uint8_t* q, int offset, uint8_t* code) {
  unpack_nibbles(q, 16, code, code + 16);
  for (int j = 0; j < 32; ++j)
    code[j] = static_cast<uint8_t>((code[j] | (high_bits[j / 8] >> (j % 8) & 1) << 4) - offset);
}

void unpack_k_scales(const uint8_t* s, Unpacked& out) {
  for (int j = 0; j < 4; ++j) {
    out.scale[j] = s[j] & 63;
    out.minimum[j] = s[j + 4] & 63;
    out.scale[j + 4] = (s[j + 8] & 15) | (s[j] >> 6) << 4;
    out.minimum[j + 4] = s[j + 8] >> 4 | (s[j + 4] >> 6) << 4;
  }
}

void unpack_k_quant(const uint8_t* block, bool five, Unpacked& out) {
  std::memcpy(out.half, block, 4);
  unpack_k_scales(block + 4, out);
  const uint8_t* q = block + (five ? 48 : 16);
  for (int pair = 0; pair < 4; ++pair)
    unpack_nibbles(q + pair * 32, 32, out.code + pair * 64, out.code + pair * 64 + 32);
  if (!five) return;
  for (int j = 0; j < 256; ++j) out.code[j] |= (block[16 + j % 32] >> (j / 32) & 1) << 4;
}

void unpack_q6_k(const uint8_t* block, Unpacked& out) {
  std::memcpy(out.scale, block + 192, 16);
  std::memcpy(out.half, block + 208, 2);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* low = block + half * 64;
    uint8_t* code = out.code + half * 128;
    unpack_nibbles(low, 64, code, code + 64);
    for (int j = 0; j < 128; ++j) {
      const int high = block[128 + half * 32 + j % 32] >> (j / 32 * 2) & 3;
      code[j] = static_cast<uint8_t>((code[j] | high << 4) - 32);
    }
  }
}

void unpack(WeightType type, const uint8_t* block, Unpacked& out) {
  switch (type) {
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBF16: return;  // copied without
    case WeightType::kQ4_0:
      std::memcpy(out.half, block, 2);
      return unpack_nibbles(block + 2, 16, out.code, out.code + 16);
    case WeightType::kQ4_1:
      std::memcpy(out.half, block, 4);
      return unpack_nibbles(block + 4, 16, out.code, out.code + 16);
    case WeightType::kQ5_0:
      std::memcpy(out.half, block, 2);
      return unpack_five_bits(block + 2, block + 6, 16, out.code);
    case WeightType::kQ5_1:
      std::memcpy(out.half, block, 4);
      return unpack_five_bits(block + 4, block + 8, 0, out.code);
    case WeightType::kQ8_0:
      std::memcpy(out.half, block, 2);
      std::memcpy(out.code, block + 2, 32);
      return;
    case WeightType::kQ4_K: return unpack_k_quant(block, false, out);
    case WeightType::kQ5_K: return unpack_k_quant(block, true, out);
    case WeightType::kQ6_K: return unpack_q6_k(block, out);
  }
}

// Byte of a block where byte `byte` of a column's word is.
int word_byte(int word, int column, int byte) { return (word * kPanelColumns + column) * 4 + byte; }

void place_scales(const PanelLayout& layout, const Unpacked& in, int column, uint8_t* scales) {
  const bool has_min =
      layout.scale == PanelScale::kHalfMin || layout.scale == PanelScale::kSuperMin;
  if (layout.scale == PanelScale::kSuper || layout.scale == PanelScale::kSuperMin) {
    for (int g = 0; g < layout.groups; ++g) {
      *(scales + column) = in.scale[g];
      scales += kPanelColumns;
      if (!has_min) continue;
      *(scales + column) = in.minimum[g];
      scales += kPanelColumns;
    }
  }
  std::memcpy(scales + 2 * column, in.half, 2);
  if (has_min) std::memcpy(scales + 2 * (kPanelColumns + column), in.half + 2, 2);
}

void place(const PanelLayout& layout, const Unpacked& in, int column, uint8_t* block) {
  const int n = layout.block_weights();
  if (layout.bits == 4) {
    for (int k = 0; k < n; ++k)
      if (k % 8 < 4) block[word_byte(k / 8, column, k % 4)] = in.code[k] | in.code[k + 4] << 4;
  } else {
    for (int k = 0; k < n; ++k) block[word_byte(k / 4, column, k % 4)] = in.code[k];
  }
  place_scales(layout, in, column, block + layout.groups * layout.code_bytes());
}

void pack_column(const WeightSource& part, const PanelLayout& layout, int64_t row, int column,
                 uint8_t* panel) {
  const auto [weights, bytes] = weight_block(part.type);
  const int64_t stored = part.row_map ? part.row_map[row] : row;
  const auto* in =
      reinterpret_cast<const uint8_t*>(part.data) + stored * weight_row_bytes(part.type, part.cols);
  if (layout.scale == PanelScale::kNone) {
    for (int64_t k = 0; k < part.cols; ++k)
      std::memcpy(panel + (k * kPanelColumns + column) * bytes, in + k * bytes, bytes);
    return;
  }
  Unpacked block;
  for (int64_t k = 0; k < part.cols; k += weights, in += bytes, panel += layout.block_bytes()) {
    unpack(part.type, in, block);
    place(layout, block, column, panel);
  }
}

void pack_panel(const WeightSource& part, const PanelRun& run, int64_t panel, std::byte* data) {
  const PanelLayout layout = panel_layout(run.format);
  auto* first = reinterpret_cast<uint8_t*>(data) + run.offset + panel * run.panel_bytes;
  const int64_t row = panel * kPanelColumns;
  const int64_t filled = std::min<int64_t>(kPanelColumns, part.rows - row);
  for (int c = 0; c < filled; ++c) pack_column(part, layout, row + c, c, first);
}

void pack_run(const WeightSource& part, const PanelRun& run, std::byte* data) {
  parallel_for(run.n_panels, 4, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) pack_panel(part, run, panel, data);
  });
}

void check_part(const WeightSource& part, int64_t cols) {
  DSRASQ_CHECK(part.rows > 0 && part.cols > 0 && part.data, kInvalidArgument, kWhere,
               "a weight matrix of ", part.rows, " x ", part.cols, " holds nothing");
  DSRASQ_CHECK(part.cols == cols, kInvalidArgument, kWhere, "stacked matrices have ", cols, " and ",
               part.cols, " columns, want the same");
  const WeightBlock block = weight_block(part.type);
  DSRASQ_CHECK(part.cols % block.weights == 0, kInvalidArgument, kWhere, "rows of ", part.cols,
               " weights are not whole blocks of ", block.weights);
  for (int64_t r = 0; part.row_map && r < part.rows; ++r)
    DSRASQ_CHECK(part.row_map[r] >= 0 && part.row_map[r] < part.rows, kInvalidArgument, kWhere,
                 "row_map[", r, "] is ", part.row_map[r], ", want 0 to ", part.rows - 1);
}

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

WeightBlock weight_block(WeightType type) noexcept {
  switch (type) {
    case WeightType::kF32: return {1, 4};
    case WeightType::kF16: return {1, 2};
    case WeightType::kBF16: return {1, 2};
    case WeightType::kQ4_0: return {32, 18};
    case WeightType::kQ4_1: return {32, 20};
    case WeightType::kQ5_0: return {32, 22};
    case WeightType::kQ5_1: return {32, 24};
    case WeightType::kQ8_0: return {32, 34};
    case WeightType::kQ4_K: return {256, 144};
    case WeightType::kQ5_K: return {256, 176};
    case WeightType::kQ6_K: return {256, 210};
  }
  return {1, 0};
}

int64_t weight_row_bytes(WeightType type, int64_t cols) noexcept {
  const auto [weights, bytes] = weight_block(type);
  return cols / weights * bytes;
}

PackedLinear PackedLinear::pack(std::span<const WeightSource> parts) {
  DSRASQ_CHECK(!parts.empty(), kInvalidArgument, kWhere, "no matrix to pack");
  PackedLinear w;
  w.cols_ = parts[0].cols;
  int64_t n_panels = 0, offset = 0;
  for (const WeightSource& part : parts) {
    check_part(part, w.cols_);
    PanelRun run{.format = panel_format(part.type),
                 .first_row = w.rows_,
                 .rows = part.rows,
                 .first_panel = n_panels,
                 .offset = offset};
    const PanelLayout layout = panel_layout(run.format);
    run.n_panels = round_up(part.rows, kPanelColumns) / kPanelColumns;
    run.panel_bytes =
        round_up(part.cols / layout.block_weights() * layout.block_bytes(), kAlignment);
    w.rows_ += run.rows;
    n_panels += run.n_panels;
    offset += run.n_panels * run.panel_bytes;
    w.runs_.push_back(run);
  }
  w.bytes_ = static_cast<size_t>(offset);
  w.data_ = RawBuffer(w.bytes_);
  for (size_t i = 0; i < parts.size(); ++i) pack_run(parts[i], w.runs_[i], w.data_.data());
  return w;
}

}  // namespace dsrasq::kernels
