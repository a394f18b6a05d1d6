// Reads packed panels as vectors of exact fp32 weights. Compiled once per instruction set, so the
// guard below toggles instead of `#pragma once`.

#if defined(DSRASQ_KERNELS_PACKED_LINEAR_DECODE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DSRASQ_KERNELS_PACKED_LINEAR_DECODE_INL_H_
#undef DSRASQ_KERNELS_PACKED_LINEAR_DECODE_INL_H_
#else
#define DSRASQ_KERNELS_PACKED_LINEAR_DECODE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <utility>

#include "dsrasq/kernels/packed_linear_layout.h"
#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Lambdas do not take the instruction set of what surrounds them on every compiler.
#undef DSRASQ_INLINE_LAMBDA
#define DSRASQ_INLINE_LAMBDA HWY_ATTR __attribute__((always_inline))

#include "dsrasq/kernels/unroll-inl.h"

// Decoding reads every matrix once, from memory: this many bytes are asked for ahead of use, as
// much at each step as the step uses.
constexpr int64_t kFetchAhead = 4096;

HWY_INLINE void fetch_ahead(const uint8_t* p, int bytes) {
  for (int i = 0; i < bytes; i += 64) hwy::Prefetch(p + kFetchAhead + i);
}

HWY_INLINE Floats load_halves(const uint8_t* p) {
  const hn::Rebind<hwy::float16_t, FloatTag> d16;
  return hn::PromoteTo(FloatTag(), hn::LoadU(d16, reinterpret_cast<const hwy::float16_t*>(p)));
}

HWY_INLINE Floats load_bytes(const uint8_t* p) {
  const hn::Rebind<int8_t, FloatTag> d8;
  const auto bytes = hn::LoadU(d8, reinterpret_cast<const int8_t*>(p));
  return hn::ConvertTo(FloatTag(), hn::PromoteTo(Int32Tag(), bytes));
}

template <PanelFormat kFormat>
HWY_INLINE Floats load_plain(const uint8_t* p) {
  if constexpr (kFormat == PanelFormat::kF16) return load_halves(p);
  if constexpr (kFormat == PanelFormat::kBF16) {
    const hn::Rebind<hwy::bfloat16_t, FloatTag> d16;
    return hn::PromoteTo(FloatTag(), hn::LoadU(d16, reinterpret_cast<const hwy::bfloat16_t*>(p)));
  }
  if constexpr (kFormat == PanelFormat::kF32)
    return hn::LoadU(FloatTag(), reinterpret_cast<const float*>(p));
}

// The low four bits of each lane as a number.
template <bool kSigned>
HWY_INLINE Floats nibble_value(Int32s word) {
#if HWY_TARGET <= HWY_AVX3
  // vpermps looks at four bits of an index only: the mask and the conversion come for free.
  alignas(64) static constexpr float kSignedValues[16] = {-8, -7, -6, -5, -4, -3, -2, -1,
                                                          0,  1,  2,  3,  4,  5,  6,  7};
  alignas(64) static constexpr float kValues[16] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                    8, 9, 10, 11, 12, 13, 14, 15};
  const Floats values = hn::Load(FloatTag(), kSigned ? kSignedValues : kValues);
  return Floats{_mm512_permutexvar_ps(word.raw, values.raw)};
#else
  const Int32s code = hn::And(word, hn::Set(Int32Tag(), 15));
  return hn::ConvertTo(FloatTag(), kSigned ? hn::Sub(code, hn::Set(Int32Tag(), 8)) : code);
#endif
}

// Code j of the 4- or 8-bit codes in each lane, in its lowest bits or with its sign. `j` is a
// constant, but where nothing is unrolled a plain number.
template <int j>
HWY_INLINE Int32s nibble_to_front(Int32s word, std::integral_constant<int, j>) {
  constexpr int kShift = 8 * (j % 4) + j / 4 * 4;
  if constexpr (kShift == 0) return word;
  return hn::ShiftRight<kShift>(word);
}
HWY_INLINE Int32s nibble_to_front(Int32s word, int j) {
  return hn::ShiftRightSame(word, 8 * (j % 4) + j / 4 * 4);
}
template <int j>
HWY_INLINE Int32s signed_byte(Int32s word, std::integral_constant<int, j>) {
  if constexpr (j < 3) word = hn::ShiftLeft<24 - 8 * j>(word);
  return hn::ShiftRight<24>(word);
}
HWY_INLINE Int32s signed_byte(Int32s word, int j) {
  return hn::ShiftRight<24>(hn::ShiftLeftSame(word, 24 - 8 * j));
}

// Scale and offset of a vector of columns for one group of k.
template <PanelScale kScale>
struct GroupScale {
  // `scales` is where those of the block begin, `column` the first of the vector.
  static HWY_INLINE void load(const uint8_t* scales, int groups, int group, int column, Floats& d,
                              Floats& m) {
    constexpr int n = kPanelColumns;
    if constexpr (kScale == PanelScale::kHalf || kScale == PanelScale::kHalfMin)
      d = load_halves(scales + 2 * column);
    if constexpr (kScale == PanelScale::kHalfMin) m = load_halves(scales + 2 * (n + column));
    if constexpr (kScale == PanelScale::kSuper)
      d = hn::Mul(load_halves(scales + groups * n + 2 * column),
                  load_bytes(scales + group * n + column));
    if constexpr (kScale == PanelScale::kSuperMin) {
      const uint8_t* halves = scales + 2 * groups * n + 2 * column;
      const uint8_t* bytes = scales + 2 * group * n + column;
      d = hn::Mul(load_halves(halves), load_bytes(bytes));
      m = hn::Neg(hn::Mul(load_halves(halves + 2 * n), load_bytes(bytes + n)));
    }
  }

  static HWY_INLINE Floats apply(Floats code, Floats d, [[maybe_unused]] Floats m) {
    if constexpr (kScale == PanelScale::kHalf || kScale == PanelScale::kSuper)
      return hn::Mul(code, d);
    else
      return hn::MulAdd(code, d, m);
  }
};

// Calls fn(j, code) for the `kGroup` k of a group, code[kCount] being those of the columns from
// where `codes` points on.
template <int kBits, int kGroup, int kCount, bool kSigned, class Fn>
HWY_INLINE void walk_group(const uint8_t* codes, Fn&& fn) {
  constexpr int kStep = 32 / kBits;  // k of a word
  constexpr int kStepBytes = 4 * kPanelColumns;
  for (int step = 0; step < kGroup; step += kStep, codes += kStepBytes) {
    fetch_ahead(codes, kStepBytes);
    Int32s word[kCount];
    unroll<kCount>([&](auto c) DSRASQ_INLINE_LAMBDA {
      word[c] = hn::LoadU(Int32Tag(), reinterpret_cast<const int32_t*>(codes) + c * kLanes);
    });
    unroll<kStep>([&](auto j) DSRASQ_INLINE_LAMBDA {
      Floats code[kCount];
      unroll<kCount>([&](auto c) DSRASQ_INLINE_LAMBDA {
        if constexpr (kBits == 4)
          code[c] = nibble_value<kSigned>(nibble_to_front(word[c], j));
        else
          code[c] = hn::ConvertTo(FloatTag(), signed_byte(word[c], j));
      });
      fn(step + j, code);
    });
  }
}

// `walk_panel` for plain numbers.
template <PanelFormat kFormat, int kCount, class Fn>
HWY_INLINE void walk_plain(const uint8_t* panel, int column, int64_t begin, int64_t end, Fn&& fn) {
  constexpr int kBytes = panel_layout(kFormat).bits / 8;
  const uint8_t* row = panel + (begin * kPanelColumns + column) * kBytes;
  for (int64_t k = begin; k < end; ++k, row += kPanelColumns * kBytes) {
    fetch_ahead(row, kPanelColumns * kBytes);
    Floats w[kCount];
    unroll<kCount>([&](auto c) DSRASQ_INLINE_LAMBDA {
      w[c] = load_plain<kFormat>(row + c * kLanes * kBytes);
    });
    fn(k, w);
  }
}

// `walk_panel` for codes with scales.
template <PanelFormat kFormat, int kCount, class Fn>
HWY_INLINE void walk_coded(const uint8_t* panel, int column, int64_t begin, int64_t end, Fn&& fn) {
  // Numbers of their own: gcc 12 stops with an internal error when a lambda names `layout`.
  constexpr PanelLayout layout = panel_layout(kFormat);
  constexpr int kBits = layout.bits, kGroup = layout.group, kGroups = layout.groups;
  constexpr int kCodeBytes = layout.code_bytes(), kBlockBytes = layout.block_bytes();
  constexpr bool kSigned = layout.is_signed_nibble;
  using Scale = GroupScale<layout.scale>;
  const int64_t skipped = column * 4;
  for (int64_t k = begin; k < end; k += kGroup) {
    const int group = static_cast<int>(k / kGroup % kGroups);
    const uint8_t* block = panel + k / (kGroup * kGroups) * kBlockBytes;
    const uint8_t* scales = block + kGroups * kCodeBytes;
    if (group == 0) fetch_ahead(scales, kBlockBytes - kGroups * kCodeBytes);
    Floats d[kCount], m[kCount];
    unroll<kCount>([&](auto c) DSRASQ_INLINE_LAMBDA {
      Scale::load(scales, kGroups, group, column + c * kLanes, d[c], m[c]);
    });
    const auto scaled = [&](int j, const Floats* code) DSRASQ_INLINE_LAMBDA {
      Floats w[kCount];
      unroll<kCount>([&](auto c)
                         DSRASQ_INLINE_LAMBDA { w[c] = Scale::apply(code[c], d[c], m[c]); });
      fn(k + j, w);
    };
    walk_group<kBits, kGroup, kCount, kSigned>(block + group * kCodeBytes + skipped, scaled);
  }
}

// Calls fn(k, w) for k = begin, ..., end - 1, where w[kCount] holds the weights at k of the columns
// from `column` on. `begin` must be where a block starts.
template <PanelFormat kFormat, int kCount, class Fn>
HWY_INLINE void walk_panel(const uint8_t* panel, int column, int64_t begin, int64_t end, Fn&& fn) {
  if constexpr (panel_layout(kFormat).scale == PanelScale::kNone)
    walk_plain<kFormat, kCount>(panel, column, begin, end, fn);
  else
    walk_coded<kFormat, kCount>(panel, column, begin, end, fn);
}

}  // namespace
}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // DSRASQ_KERNELS_PACKED_LINEAR_DECODE_INL_H_
