#include <algorithm>
#include <cmath>
#include <vector>

#include "dsrasq/kernels/sparse_attention.h"

namespace dsrasq::kernels {
namespace {

/// One token that a query head sees.
struct Seen {
  double score;
  std::vector<double> value;
};

double capped(const SparseAttentionParams& p, double score) {
  return p.softcap > 0 ? p.softcap * std::tanh(score / p.softcap) : score;
}

// R(distance) q . k, the queries' pairs being (c, c + D / 2).
double rotated_dot(const SparseAttentionParams& p, const float* q, const std::vector<double>& k,
                   int64_t distance) {
  const int64_t D = p.memory.ring.head_dim, half = D / 2;
  const int64_t row = std::clamp<int64_t>(distance, 0, p.rope.d_max) * half;
  double sum = 0;
  for (int64_t c = 0; c < half; ++c) {
    const double cos = p.rope.cos[row + c], sin = p.rope.sin[row + c];
    sum += (q[c] * cos - q[c + half] * sin) * k[c];
    sum += (q[c + half] * cos + q[c] * sin) * k[c + half];
  }
  return sum;
}

void see_window(const SparseAttentionParams& p, int64_t i, int64_t head, std::vector<Seen>& seen) {
  const KvTiles& ring = p.memory.ring;
  const int64_t D = ring.head_dim, g = head / (p.H / ring.n_kv_heads), position = p.pos0 + i;
  const float* q = p.q + (i * p.H + head) * D;
  for (int64_t j = std::max(p.memory.n_sink, position - p.window + 1); j <= position; ++j) {
    const int64_t tile = g * ring.n_tiles + j / 16 % ring.n_tiles;
    Seen token{0, std::vector<double>(D)};
    for (int64_t c = 0; c < D; ++c) {
      token.score += static_cast<double>(q[c]) * ring.k[(tile * D + c) * 16 + j % 16];
      token.value[c] = ring.v[(tile * 16 + j % 16) * D + c];
    }
    token.score = capped(p, token.score * p.scale);
    seen.push_back(token);
  }
}

void see_sinks(const SparseAttentionParams& p, int64_t i, int64_t head, std::vector<Seen>& seen) {
  const SparseMemory& m = p.memory;
  const int64_t D = m.ring.head_dim, g = head / (p.H / m.ring.n_kv_heads), position = p.pos0 + i;
  for (int64_t j = 0; j < std::min(m.n_sink, position + 1); ++j) {
    const float* k = m.sink_k + (g * m.n_sink + j) * D;
    const float* v = m.sink_v + (g * m.n_sink + j) * D;
    const double dot =
        rotated_dot(p, p.q_raw + (i * p.H + head) * D, std::vector<double>(k, k + D), position - j);
    seen.push_back({capped(p, dot * p.scale), std::vector<double>(v, v + D)});
  }
}

void see_selected(const SparseAttentionParams& p, int64_t i, int64_t head,
                  std::vector<Seen>& seen) {
  const SparseMemory& m = p.memory;
  const int64_t D = m.ring.head_dim, g = head / (p.H / m.ring.n_kv_heads);
  for (int32_t s = 0; p.n_selected != nullptr && s < p.n_selected[i]; ++s) {
    const int64_t slot = p.selected[i * p.k + s], at = g * m.n_slots + slot;
    const int64_t distance = p.pos0 + i - (m.page_first_position[slot / 16] + slot % 16);
    std::vector<double> k(D), v(D);
    for (int64_t c = 0; c < D; ++c) {
      k[c] = static_cast<double>(m.pool_k[at * D + c]) * m.pool_k_scale[at];
      v[c] = static_cast<double>(m.pool_v[at * D + c]) * m.pool_v_scale[at];
    }
    const double dot = rotated_dot(p, p.q_raw + (i * p.H + head) * D, k, distance);
    seen.push_back({capped(p, dot * p.scale), v});
  }
}

}  // namespace

void sparse_attention_ref(const SparseAttentionParams& p) {
  const int64_t D = p.memory.ring.head_dim;
  for (int64_t i = 0; i < p.n; ++i) {
    std::vector<double> mass(p.k, 0.0);
    for (int64_t head = 0; head < p.H; ++head) {
      std::vector<Seen> seen;
      see_window(p, i, head, seen);
      see_sinks(p, i, head, seen);
      const size_t first_selected = seen.size();
      see_selected(p, i, head, seen);
      double most = -INFINITY, total = 0;
      for (const Seen& token : seen) most = std::max(most, token.score);
      for (const Seen& token : seen) total += std::exp(token.score - most);
      std::vector<double> out(D, 0.0);
      for (size_t t = 0; t < seen.size(); ++t) {
        const double weight = std::exp(seen[t].score - most) / total;
        for (int64_t c = 0; c < D; ++c) out[c] += weight * seen[t].value[c];
        if (t >= first_selected) mass[t - first_selected] += weight;
      }
      std::copy(out.begin(), out.end(), p.out + (i * p.H + head) * D);
    }
    double total_mass = 0;
    for (int32_t s = 0; s < p.k; ++s) {
      if (p.retrieved_mass != nullptr) p.retrieved_mass[i * p.k + s] = static_cast<float>(mass[s]);
      total_mass += mass[s];
    }
    if (p.pool_mass != nullptr) p.pool_mass[i] = static_cast<float>(total_mass);
  }
}

}  // namespace dsrasq::kernels
