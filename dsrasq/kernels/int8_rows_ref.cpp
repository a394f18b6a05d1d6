#include <algorithm>
#include <cmath>

#include "dsrasq/kernels/int8_rows.h"

namespace dsrasq::kernels {

void quantize_rows_ref(const float* x, int64_t n_rows, int64_t dim, int8_t* codes, float* scale,
                       int max_code) {
  const auto limit = static_cast<float>(max_code);
  for (int64_t row = 0; row < n_rows; ++row) {
    float amax = 0;
    for (int64_t i = 0; i < dim; ++i) amax = std::max(amax, std::abs(x[row * dim + i]));
    const bool is_zero = amax < 1e-30f;
    const float inverse = is_zero ? 0.0f : limit / amax;
    scale[row] = is_zero ? 0.0f : amax / limit;
    for (int64_t i = 0; i < dim; ++i) {
      const float scaled = std::nearbyint(x[row * dim + i] * inverse);
      codes[row * dim + i] = static_cast<int8_t>(std::clamp(scaled, -limit, limit));
    }
  }
}

}  // namespace dsrasq::kernels
