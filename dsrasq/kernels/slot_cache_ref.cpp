#include <algorithm>
#include <cmath>
#include <vector>

#include "dsrasq/kernels/slot_cache.h"

namespace dsrasq::kernels {
namespace {

void softmax(std::vector<double>& x) {
  const double most = *std::max_element(x.begin(), x.end());
  double total = 0;
  for (double& value : x) total += value = std::exp(value - most);
  for (double& value : x) value /= total;
}

// What slot `slot` takes from the rows of x [m, d].
std::vector<double> summary(const SlotFoldParams& p, const float* x, const float* u, int64_t slot) {
  std::vector<double> weight(p.m, 0.0), sum(p.d, 0.0);
  for (int64_t t = 0; t < p.m; ++t) {
    if (p.places != nullptr) {
      weight[t] = u[p.places[t] * p.r + slot];
      continue;
    }
    for (int64_t c = 0; c < p.d; ++c)
      weight[t] += static_cast<double>(x[t * p.d + c]) * u[c * p.r + slot];
  }
  softmax(weight);
  for (int64_t t = 0; t < p.m; ++t)
    for (int64_t c = 0; c < p.d; ++c) sum[c] += weight[t] * x[t * p.d + c];
  return sum;
}

}  // namespace

void fold_slots_ref(const SlotFoldParams& p) {
  for (int64_t slot = p.first; slot < p.first + p.count; ++slot) {
    const std::vector<double> from_k = summary(p, p.k, p.u_k, slot);
    const std::vector<double> from_v = summary(p, p.v, p.u_v, slot);
    const double beta = p.beta == nullptr ? 0 : p.beta[slot];
    for (int64_t c = 0; c < p.d; ++c) {
      float& value = p.slots[slot * p.d + c];
      value = static_cast<float>(beta * value + (1 - beta) * (from_k[c] + from_v[c]));
    }
  }
}

void read_slots_ref(const SlotReadParams& p) {
  const int64_t D = p.D, n_tiles = (p.r + 15) / 16;
  for (int64_t i = 0; i < p.n; ++i) {
    for (int64_t head = 0; head < p.H; ++head) {
      const int64_t g = head / (p.H / p.n_kv_heads), row = (i * p.H + head) * D;
      std::vector<double> weight(p.n_filled, 0.0);
      for (int64_t s = 0; s < p.n_filled; ++s) {
        for (int64_t c = 0; c < D; ++c)
          weight[s] += static_cast<double>(p.q[row + c]) *
                       p.packed_slot_k[((g * n_tiles + s / 16) * D + c) * 16 + s % 16];
        weight[s] *= p.scale;
      }
      softmax(weight);
      for (int64_t c = 0; c < D; ++c) {
        double sum = 0;
        for (int64_t s = 0; s < p.n_filled; ++s) sum += weight[s] * p.slot_v[(g * p.r + s) * D + c];
        const double gate = std::tanh(static_cast<double>(p.gate[head])) * p.share;
        p.out[row + c] += static_cast<float>(gate * sum);
      }
    }
  }
}

}  // namespace dsrasq::kernels
