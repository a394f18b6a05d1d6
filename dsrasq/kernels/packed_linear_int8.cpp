// Products of integers: codes of the weights times 8-bit codes of x.
#include "dsrasq/kernels/simd_targets.h"  // before Highway

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/packed_linear_int8.cpp"
#include <hwy/foreach_target.h>  // before highway.h

#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/byte_products-inl.h"
#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/kernels/packed_linear_call.h"
#include "dsrasq/kernels/packed_linear_store-inl.h"
#include "dsrasq/kernels/scratch.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
namespace plain {

// Sums of two products of an unsigned and a signed byte have 16 bits: of codes up to 15 eight of
// them fit (8 * 2 * 15 * 127), so that those of a group of 32 are added up in 16 bits.
#if HWY_TARGET == HWY_AVX3
HWY_INLINE Int32s magnitude(Int32s codes) { return Int32s{_mm512_abs_epi8(codes.raw)}; }
HWY_INLINE Int32s with_sign_of(Int32s codes, Int32s x) {
  const __mmask64 is_negative = _mm512_movepi8_mask(codes.raw);
  return Int32s{_mm512_mask_sub_epi8(x.raw, is_negative, _mm512_setzero_si512(), x.raw)};
}
#else
HWY_INLINE Int32s magnitude(Int32s codes) { return Int32s{_mm256_abs_epi8(codes.raw)}; }
HWY_INLINE Int32s with_sign_of(Int32s codes, Int32s x) {
  return Int32s{_mm256_sign_epi8(x.raw, codes.raw)};
}
#endif

struct Operand {
  Int32s codes, magnitudes;  // bytes
};
template <bool kSigned>
HWY_INLINE Operand operand(Int32s codes) {
  if constexpr (kSigned) return {codes, magnitude(codes)};
  return {codes, codes};
}

template <bool kSigned>
HWY_INLINE Int32s add_products(Int32s dot, const Operand& w, int32_t x) {
  const Int32s four = hn::Set(Int32Tag(), x);
  if constexpr (!kSigned) return add_halves(dot, byte_products(w.magnitudes, four));
  // At most 2 * 128 * 127: one such sum fits in 16 bits.
  return hn::Add(dot, sum_halves(byte_products(w.magnitudes, with_sign_of(w.codes, four))));
}

template <bool kSigned>
HWY_INLINE Int32s total(Int32s dot, int32_t) {
  if constexpr (kSigned) return dot;
  return sum_halves(dot);
}

#include "dsrasq/kernels/packed_linear_int8-inl.h"

}  // namespace plain

LinearTileFunction int8_function() { return plain::run_int8_tile; }
#else
LinearTileFunction int8_function() { return nullptr; }
#endif

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_TARGET == HWY_AVX3
// Highway 1.0.3 has no target with VNNI alone.
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR ",avx512vnni")
namespace dsrasq::kernels::HWY_NAMESPACE::vnni {

// The instruction wants unsigned codes: 128 more, and 128 times the sum of x taken off at the end.
template <bool kSigned>
HWY_INLINE Int32s operand(Int32s codes) {
  if constexpr (kSigned) return Int32s{_mm512_xor_si512(codes.raw, _mm512_set1_epi8(-128))};
  return codes;
}

template <bool kSigned>
HWY_INLINE Int32s add_products(Int32s dot, Int32s codes, int32_t x) {
  return Int32s{_mm512_dpbusd_epi32(dot.raw, codes.raw, _mm512_set1_epi32(x))};
}

template <bool kSigned>
HWY_INLINE Int32s total(Int32s dot, int32_t sum) {
  if constexpr (kSigned) return hn::Sub(dot, hn::Set(Int32Tag(), 128 * sum));
  return dot;
}

#include "dsrasq/kernels/packed_linear_int8-inl.h"

}  // namespace dsrasq::kernels::HWY_NAMESPACE::vnni
HWY_POP_ATTRIBUTES
#endif

#if HWY_ONCE
namespace dsrasq::kernels {
namespace {

HWY_EXPORT(int8_function);

std::atomic<bool> vnni_is_allowed{true};

// One row of x.
struct CodesOut {
  int8_t* codes;
  float *scale, *values_16, *values_32;
  int32_t *sums_16, *sums_32;
};

void encode_row(const float* x, int64_t cols, const CodesOut& out) {
  quantize_rows(x, cols / 32, 32, out.codes, out.scale);
  for (int64_t b = 0; b < cols / 32; ++b) {
    float zero = 0;  // unless a value is none: then it has to be seen in the result
    for (int64_t i = 0; i < 32; ++i) zero += x[32 * b + i] * 0.f;
    out.scale[b] += zero;
    for (int64_t h = 2 * b; h < 2 * b + 2; ++h) {
      int32_t sum = 0;
      for (int64_t i = 0; i < 16; ++i) sum += out.codes[16 * h + i];
      out.sums_16[h] = sum;
      out.values_16[h] = out.scale[b] * static_cast<float>(sum);
    }
    out.sums_32[b] = out.sums_16[2 * b] + out.sums_16[2 * b + 1];
    out.values_32[b] = out.scale[b] * static_cast<float>(out.sums_32[b]);
  }
}

}  // namespace

RowCodes encode_rows(const float* x, int64_t m, int64_t cols, int64_t x_stride) {
  constexpr int64_t kRowsATask = 16;
  thread_local Scratch scratch;
  const int64_t n = m * cols;
  int8_t* codes = scratch.get<int8_t>(n + n / 32 * 4 * (1 + 2 * 3));
  float* scale = reinterpret_cast<float*>(codes + n);
  float *values_16 = scale + n / 32, *values_32 = values_16 + n / 16;
  auto* sums_16 = reinterpret_cast<int32_t*>(values_32 + n / 32);
  int32_t* sums_32 = sums_16 + n / 16;
  parallel_for(m, kRowsATask, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at_16 = r * (cols / 16), at_32 = r * (cols / 32);
      encode_row(x + r * x_stride, cols,
                 {codes + r * cols, scale + at_32, values_16 + at_16, values_32 + at_32,
                  sums_16 + at_16, sums_32 + at_32});
    }
  });
  return {codes, scale, {sums_16, values_16}, {sums_32, values_32}};
}

LinearTileFunction int8_tile_function() {
  const LinearTileFunction chosen = HWY_DYNAMIC_DISPATCH(int8_function)();
#if HWY_TARGETS & HWY_AVX3
  if (chosen == N_AVX3::plain::run_int8_tile && vnni_is_allowed &&
      __builtin_cpu_supports("avx512vnni"))
    return N_AVX3::vnni::run_int8_tile;
#endif
  return chosen;
}

void allow_linear_vnni(bool allowed) { vnni_is_allowed = allowed; }

}  // namespace dsrasq::kernels
#endif
