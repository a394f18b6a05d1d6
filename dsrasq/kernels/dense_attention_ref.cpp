#include <algorithm>
#include <cmath>
#include <vector>

#include "dsrasq/kernels/dense_attention.h"

namespace dsrasq::kernels {

void dense_attention_ref(const DenseAttentionParams& p) {
  const int64_t D = p.cache.head_dim, n_rep = p.H / p.cache.n_kv_heads;
  for (int64_t i = 0; i < p.n; ++i) {
    for (int64_t head = 0; head < p.H; ++head) {
      const int64_t position = p.pos0 + i;
      const int64_t first = p.window > 0 ? std::max<int64_t>(0, position - p.window + 1) : 0;
      const auto tile_of = [&](int64_t j) {
        return head / n_rep * p.cache.n_tiles + j / kTileTokens % p.cache.n_tiles;
      };
      const float* q = p.q + (i * p.H + head) * D;
      std::vector<double> score;
      double most = -INFINITY, total = 0;
      for (int64_t j = first; j <= position; ++j) {
        double dot = 0;
        for (int64_t c = 0; c < D; ++c)
          dot += static_cast<double>(q[c]) * p.cache.k[(tile_of(j) * D + c) * 16 + j % 16];
        dot *= p.scale;
        score.push_back(p.softcap > 0 ? p.softcap * std::tanh(dot / p.softcap) : dot);
        most = std::max(most, score.back());
      }
      std::vector<double> out(D, 0.0);
      for (int64_t j = first; j <= position; ++j) {
        const double weight = std::exp(score[j - first] - most);
        total += weight;
        for (int64_t c = 0; c < D; ++c)
          out[c] += weight * p.cache.v[(tile_of(j) * 16 + j % 16) * D + c];
      }
      for (int64_t c = 0; c < D; ++c)
        p.out[(i * p.H + head) * D + c] = static_cast<float>(out[c] / total);
    }
  }
}

}  // namespace dsrasq::kernels
