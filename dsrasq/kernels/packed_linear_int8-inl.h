// The kernels of packed_linear_int8.cpp, which includes them in a namespace for every way to add
// products of bytes. What they want of it, where kSigned says whether codes are -128 ... 127 or
// 0 ... 15:
//   Operand operand<kSigned>(Int32s codes)                four codes a lane, made ready
//   Int32s add_products<kSigned>(Int32s dot, Operand, x)  plus their products with four codes of x
//   Int32s total<kSigned>(Int32s dot, int32_t sum)        the dot product, `sum` being that of x

namespace {

#include "dsrasq/kernels/unroll-inl.h"

// Register tile: rows of x by vectors of columns; sums in fp32, and of a group in integers.
constexpr bool kManyRegisters = HWY_TARGET <= HWY_AVX3;
constexpr int kTileVecs = kManyRegisters ? 3 : 2;
constexpr int kTileRows = kManyRegisters ? 4 : 3;
constexpr int kDirectRows = kManyRegisters ? 4 : 2;
constexpr int kRowVecs = 3;  // of the direct path for one row, whose sums in flight are few

constexpr bool has_offset(PanelLayout layout) {
  return layout.scale == PanelScale::kHalfMin || layout.scale == PanelScale::kSuperMin ||
         layout.is_signed_nibble;
}

// Some rows of x; those past the end repeat the last one.
template <int kRows, int kGroup>
struct Rows {
  const int8_t* codes[kRows];
  const float* scale[kRows];
  const int32_t* sum[kRows];
  const float* value[kRows];

  HWY_INLINE Rows(const LinearCall& call, int64_t row, int64_t rows) {
    const RowCodes::Sums& sums = kGroup == 16 ? call.codes->of_16 : call.codes->of_32;
    for (int r = 0; r < kRows; ++r) {
      const int64_t at = row + std::min<int64_t>(r, rows - 1);
      codes[r] = call.codes->codes + at * call.cols;
      scale[r] = call.codes->scale + at * (call.cols / 32);
      sum[r] = sums.codes + at * (call.cols / kGroup);
      value[r] = sums.values + at * (call.cols / kGroup);
    }
  }

  // Four codes from k on.
  HWY_INLINE int32_t four(int r, int64_t k) const {
    int32_t codes_of_four;
    std::memcpy(&codes_of_four, codes[r] + k, sizeof codes_of_four);
    return codes_of_four;
  }
};

// Adds d * dot * scale + m * value of the group at k to each sum.
template <bool kSigned, bool kOffset, int kRows, int kVecs, int kGroup>
HWY_INLINE void add_group(Floats* sum, const Int32s* dot, const Floats* d, const Floats* m,
                          const Rows<kRows, kGroup>& rows, int64_t k) {
  unroll<kRows>([&](auto r) DSRASQ_INLINE_LAMBDA {
    const int64_t group = k / kGroup;
    const Floats scale = hn::Set(FloatTag(), rows.scale[r][k / 32]);
    unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
      Floats& s = sum[r * kVecs + c];
      const Int32s whole = total<kSigned>(dot[r * kVecs + c], rows.sum[r][group]);
      s = hn::MulAdd(hn::ConvertTo(FloatTag(), whole), hn::Mul(d[c], scale), s);
      if constexpr (kOffset) s = hn::MulAdd(m[c], hn::Set(FloatTag(), rows.value[r][group]), s);
    });
  });
}

template <bool kSigned, int kRows, int kVecs, int kGroup>
HWY_INLINE void add_word(Int32s* dot, const Int32s* codes, const Rows<kRows, kGroup>& rows,
                         int64_t k) {
  unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
    const auto ready = operand<kSigned>(codes[c]);
    unroll<kRows>([&](auto r) DSRASQ_INLINE_LAMBDA {
      Int32s& own = dot[r * kVecs + c];
      own = add_products<kSigned>(own, ready, rows.four(r, k));
    });
  });
}

// Scales and offsets of vectors of columns for a group.
template <PanelFormat kFormat, int kVecs>
HWY_INLINE void load_scales(const uint8_t* scales, int group, int column, Floats* d, Floats* m) {
  constexpr PanelLayout layout = panel_layout(kFormat);
  constexpr int kGroups = layout.groups;
  constexpr bool kSignedNibble = layout.is_signed_nibble;
  using Scale = GroupScale<layout.scale>;
  unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
    Scale::load(scales, kGroups, group, column + c * kLanes, d[c], m[c]);
    if constexpr (kSignedNibble) m[c] = hn::Mul(d[c], hn::Set(FloatTag(), -8.f));
  });
}

// Calls fn(word, codes) for the words of a group from `words` on, four codes a lane each, so that
// word w has those of k = 4 w ... 4 w + 3.
template <int kBits, int kGroup, int kVecs, class Fn>
HWY_INLINE void walk_words(const uint8_t* words, Fn&& fn) {
  constexpr int kWords = kGroup * kBits / 32;
  const Int32s mask = hn::Set(Int32Tag(), 0x0F0F0F0F);
  unroll<kWords>([&](auto w) DSRASQ_INLINE_LAMBDA {
    const uint8_t* at = words + w * 4 * kPanelColumns;
    fetch_ahead(at, 4 * kPanelColumns);
    Int32s low[kVecs], high[kVecs];
    unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
      low[c] = hn::LoadU(Int32Tag(), reinterpret_cast<const int32_t*>(at) + c * kLanes);
      if constexpr (kBits == 4) {
        high[c] = hn::And(hn::ShiftRight<4>(low[c]), mask);
        low[c] = hn::And(low[c], mask);
      }
    });
    if constexpr (kBits == 8) {
      fn(w, low);
    } else {
      fn(2 * w, low);
      fn(2 * w + 1, high);
    }
  });
}

template <PanelFormat kFormat, int kRows, int kVecs>
HWY_NOINLINE void direct_int8(const LinearCall& call, const PanelRun& run, int64_t panel, int first,
                              int64_t row, int64_t n_rows) {
  constexpr PanelLayout layout = panel_layout(kFormat);
  constexpr int kBits = layout.bits, kGroup = layout.group, kGroups = layout.groups;
  constexpr int kCodeBytes = layout.code_bytes(), kBlockBytes = layout.block_bytes();
  constexpr bool kOffset = has_offset(layout), kSigned = layout.bits == 8;
  const Rows<kRows, kGroup> rows(call, row, n_rows);
  Floats sum[kRows * kVecs];
  unroll<kRows * kVecs>([&](auto i) DSRASQ_INLINE_LAMBDA { sum[i] = hn::Zero(FloatTag()); });
  const uint8_t* block = panel_at(call, run, panel);
  for (int64_t k = 0; k < call.cols; block += kBlockBytes) {
    const uint8_t* scales = block + kGroups * kCodeBytes;
    fetch_ahead(scales, kBlockBytes - kGroups * kCodeBytes);
    for (int group = 0; group < kGroups; ++group, k += kGroup) {
      Floats d[kVecs], m[kVecs];
      load_scales<kFormat, kVecs>(scales, group, first, d, m);
      Int32s dot[kRows * kVecs];
      unroll<kRows * kVecs>([&](auto i) DSRASQ_INLINE_LAMBDA { dot[i] = hn::Zero(Int32Tag()); });
      walk_words<kBits, kGroup, kVecs>(block + group * kCodeBytes + first * 4,
                                       [&](int word, const Int32s* codes) DSRASQ_INLINE_LAMBDA {
                                         add_word<kSigned, kRows, kVecs>(dot, codes, rows,
                                                                         k + 4 * word);
                                       });
      add_group<kSigned, kOffset, kRows, kVecs>(sum, dot, d, m, rows, k);
    }
  }
  const int64_t column = panel * kPanelColumns + first;
  store_sums<kRows, kVecs>(sum, call, row, n_rows, run.first_row + column, run.rows - column,
                           call.bias != nullptr);
}

// A panel for many rows: four codes a lane, scales and offsets in fp32.
struct ExpandedPanel {
  int32_t* words;  // [cols / 4][kPanelColumns]
  float *d, *m;    // [cols / group][kPanelColumns]
};

template <PanelFormat kFormat>
HWY_NOINLINE void expand_codes(const uint8_t* block, int64_t cols, const ExpandedPanel& out) {
  constexpr PanelLayout layout = panel_layout(kFormat);
  constexpr int kBits = layout.bits, kGroup = layout.group, kGroups = layout.groups;
  constexpr int kCodeBytes = layout.code_bytes(), kBlockBytes = layout.block_bytes();
  constexpr bool kOffset = has_offset(layout);
  for (int64_t k = 0; k < cols; block += kBlockBytes)
    for (int group = 0; group < kGroups; ++group, k += kGroup)
      for (int column = 0; column < kPanelColumns; column += kLanes) {
        Floats d, m;
        load_scales<kFormat, 1>(block + kGroups * kCodeBytes, group, column, &d, &m);
        const int64_t at = k / kGroup * kPanelColumns + column;
        hn::StoreU(d, FloatTag(), out.d + at);
        if constexpr (kOffset) hn::StoreU(m, FloatTag(), out.m + at);
        walk_words<kBits, kGroup, 1>(
            block + group * kCodeBytes + column * 4,
            [&](int word, const Int32s* codes) DSRASQ_INLINE_LAMBDA {
              hn::StoreU(codes[0], Int32Tag(), out.words + (k / 4 + word) * kPanelColumns + column);
            });
      }
}

// Columns [column, column + n) of `n_rows` rows, the first of them being `first` of the panel.
template <bool kSigned, bool kOffset, int kGroup>
HWY_NOINLINE void multiply_codes(const LinearCall& call, int64_t row, int64_t n_rows,
                                 const ExpandedPanel& panel, int first, int64_t column, int64_t n) {
  constexpr int kRows = kTileRows, kVecs = kTileVecs;
  const Rows<kRows, kGroup> rows(call, row, n_rows);
  Floats sum[kRows * kVecs];
  unroll<kRows * kVecs>([&](auto i) DSRASQ_INLINE_LAMBDA { sum[i] = hn::Zero(FloatTag()); });
  const int32_t* words = panel.words + first;
  const float *d_at = panel.d + first, *m_at = panel.m + first;
  for (int64_t k = 0; k < call.cols; k += kGroup, d_at += kPanelColumns, m_at += kPanelColumns) {
    Int32s dot[kRows * kVecs];
    unroll<kRows * kVecs>([&](auto i) DSRASQ_INLINE_LAMBDA { dot[i] = hn::Zero(Int32Tag()); });
    unroll<kGroup / 4>([&](auto word) DSRASQ_INLINE_LAMBDA {
      Int32s codes[kVecs];
      unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
        codes[c] = hn::LoadU(Int32Tag(), words + word * kPanelColumns + c * kLanes);
      });
      add_word<kSigned, kRows, kVecs>(dot, codes, rows, k + 4 * word);
    });
    words += kGroup / 4 * kPanelColumns;
    Floats d[kVecs], m[kVecs];
    unroll<kVecs>([&](auto c) DSRASQ_INLINE_LAMBDA {
      d[c] = hn::LoadU(FloatTag(), d_at + c * kLanes);
      if constexpr (kOffset) m[c] = hn::LoadU(FloatTag(), m_at + c * kLanes);
    });
    add_group<kSigned, kOffset, kRows, kVecs>(sum, dot, d, m, rows, k);
  }
  store_sums<kRows, kVecs>(sum, call, row, n_rows, column, n, call.bias != nullptr);
}

template <PanelFormat kFormat>
void direct_panel_int8(const LinearCall& call, const LinearTile& tile, int64_t panel) {
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kDirectRows) {
    const int64_t rows = std::min<int64_t>(kDirectRows, tile.row_end - row);
    if (rows == 1)
      for (int column = 0; column < kPanelColumns; column += kRowVecs * kLanes)
        direct_int8<kFormat, 1, kRowVecs>(call, *tile.run, panel, column, row, rows);
    else
      for (int column = 0; column < kPanelColumns; column += kTileVecs * kLanes)
        direct_int8<kFormat, kDirectRows, kTileVecs>(call, *tile.run, panel, column, row, rows);
  }
}

template <PanelFormat kFormat>
void block_panel_int8(const LinearCall& call, const LinearTile& tile, int64_t panel) {
  constexpr PanelLayout layout = panel_layout(kFormat);
  constexpr int kGroup = layout.group;
  constexpr bool kOffset = has_offset(layout), kSigned = layout.bits == 8;
  thread_local Scratch scratch;
  const int64_t n_words = call.cols / 4 * kPanelColumns;
  const int64_t n_scales = call.cols / kGroup * kPanelColumns;
  int32_t* words = scratch.get<int32_t>(n_words + 2 * n_scales);
  float* d = reinterpret_cast<float*>(words + n_words);
  const ExpandedPanel expanded{words, d, d + n_scales};
  expand_codes<kFormat>(panel_at(call, *tile.run, panel), call.cols, expanded);
  for (int64_t row = tile.row_begin; row < tile.row_end; row += kTileRows) {
    const int64_t rows = std::min<int64_t>(kTileRows, tile.row_end - row);
    for (int first = 0; first < kPanelColumns; first += kTileVecs * kLanes) {
      const int64_t column = panel * kPanelColumns + first;
      multiply_codes<kSigned, kOffset, kGroup>(
          call, row, rows, expanded, first, tile.run->first_row + column, tile.run->rows - column);
    }
  }
}

template <PanelFormat kFormat>
void run_format_int8(const LinearCall& call, const LinearTile& tile) {
  for (int64_t p = tile.panel_begin; p < tile.panel_end; ++p) {
    if (call.m <= kMostDirectRows)
      direct_panel_int8<kFormat>(call, tile, p);
    else
      block_panel_int8<kFormat>(call, tile, p);
  }
}

}  // namespace

void run_int8_tile(const LinearCall& call, const LinearTile& tile) {
  switch (tile.run->format) {
    case PanelFormat::kQ8: return run_format_int8<PanelFormat::kQ8>(call, tile);
    case PanelFormat::kQ8Min: return run_format_int8<PanelFormat::kQ8Min>(call, tile);
    case PanelFormat::kQ4: return run_format_int8<PanelFormat::kQ4>(call, tile);
    case PanelFormat::kQ4Min: return run_format_int8<PanelFormat::kQ4Min>(call, tile);
    case PanelFormat::kQ4K: return run_format_int8<PanelFormat::kQ4K>(call, tile);
    case PanelFormat::kQ5K: return run_format_int8<PanelFormat::kQ5K>(call, tile);
    case PanelFormat::kQ6K: return run_format_int8<PanelFormat::kQ6K>(call, tile);
    case PanelFormat::kF32:
    case PanelFormat::kF16:
    case PanelFormat::kBF16: break;  // have no codes
  }
}
