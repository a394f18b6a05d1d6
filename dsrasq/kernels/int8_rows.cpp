#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/int8_rows.cpp"
#include "dsrasq/kernels/simd_targets.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <algorithm>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/int8_rows.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

static float largest_magnitude(const float* HWY_RESTRICT x, int64_t dim) {
  const hn::CappedTag<float, 16> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto most = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= dim; i += lanes) most = hn::Max(most, hn::Abs(hn::LoadU(d, x + i)));
  float amax = hn::GetLane(hn::MaxOfLanes(d, most));
  for (; i < dim; ++i) amax = std::max(amax, x[i] < 0 ? -x[i] : x[i]);
  return amax;
}

void quantize_rows_simd(const float* x, int64_t n_rows, int64_t dim, int8_t* codes, float* scale,
                        int max_code) {
  const hn::CappedTag<float, 16> d;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto limit = static_cast<float>(max_code);
  const auto to_code = [&](auto v, float inverse) HWY_ATTR {
    const auto scaled = hn::Mul(v, hn::Set(d, inverse));
    return hn::NearestInt(hn::Min(hn::Max(scaled, hn::Set(d, -limit)), hn::Set(d, limit)));
  };
  for (int64_t row = 0; row < n_rows; ++row, x += dim, codes += dim) {
    const float amax = largest_magnitude(x, dim);
    const bool is_zero = amax < 1e-30f;
    const float inverse = is_zero ? 0.0f : limit / amax;
    scale[row] = is_zero ? 0.0f : amax / limit;
    int64_t i = 0;
    for (; i + lanes <= dim; i += lanes)
      hn::StoreU(hn::DemoteTo(d8, to_code(hn::LoadU(d, x + i), inverse)), d8, codes + i);
    for (; i < dim; ++i)
      codes[i] = static_cast<int8_t>(hn::GetLane(to_code(hn::Set(d, x[i]), inverse)));
  }
}

void dequantize_rows_simd(const int8_t* codes, const float* scale, int64_t n_rows, int64_t dim,
                          float* x) {
  const hn::CappedTag<float, 16> d;
  const hn::RebindToSigned<decltype(d)> di;
  const hn::Rebind<int8_t, decltype(d)> d8;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t row = 0; row < n_rows; ++row, x += dim, codes += dim) {
    const auto s = hn::Set(d, scale[row]);
    int64_t i = 0;
    for (; i + lanes <= dim; i += lanes) {
      const auto code = hn::PromoteTo(di, hn::LoadU(d8, codes + i));
      hn::StoreU(hn::Mul(hn::ConvertTo(d, code), s), d, x + i);
    }
    for (; i < dim; ++i) x[i] = static_cast<float>(codes[i]) * scale[row];
  }
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {

HWY_EXPORT(quantize_rows_simd);
HWY_EXPORT(dequantize_rows_simd);

namespace {
// Rows whose handling pays for handing them to another thread.
int64_t rows_a_part(int64_t dim) { return std::max<int64_t>(1, 65536 / std::max<int64_t>(1, dim)); }
}  // namespace

void quantize_rows(const float* x, int64_t n_rows, int64_t dim, int8_t* codes, float* scale,
                   int max_code) {
  parallel_for(n_rows, rows_a_part(dim), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(quantize_rows_simd)
    (x + begin * dim, end - begin, dim, codes + begin * dim, scale + begin, max_code);
  });
}

void dequantize_rows(const int8_t* codes, const float* scale, int64_t n_rows, int64_t dim,
                     float* x) {
  parallel_for(n_rows, rows_a_part(dim), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(dequantize_rows_simd)
    (codes + begin * dim, scale + begin, end - begin, dim, x + begin * dim);
  });
}

}  // namespace dsrasq::kernels
#endif
