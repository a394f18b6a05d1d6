#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "dsrasq/kernels/index_scan.h"

namespace dsrasq::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

struct Candidate {
  float z;
  int64_t position;
  int32_t slot;
};

bool sees(const IndexPool& pool, const IndexQueries& queries, int64_t i, int64_t page, int lane) {
  return lane < pool.page_count[page] && pool.page_first_position[page] + lane <= queries.limit[i];
}

float score_of(const IndexPool& pool, const IndexQueries& queries, int64_t i, int64_t page,
               int lane) {
  const int8_t* keys = pool.keys + page * kPageTokens * pool.dim;
  float sum = 0;
  for (int h = 0; h < queries.n_heads; ++h) {
    const int8_t* query = queries.codes + (i * queries.n_heads + h) * pool.dim;
    int32_t dot = 0;
    for (int c = 0; c < pool.dim; ++c)
      dot += query[c] * keys[(c / 4 * kPageTokens + lane) * 4 + c % 4];
    const int64_t at = i * queries.n_heads + h;
    const float weight = queries.weight[at] * queries.scale[at];
    const float term = weight * static_cast<float>(std::max(0, dot));
    sum = h == 0 ? term : sum + term;
  }
  const float z = pool.key_scale[page * kPageTokens + lane] * sum;
  return z + 0.0f;
}

}  // namespace

void index_scores_ref(const IndexPool& pool, const IndexQueries& queries, float* scores) {
  for (int64_t i = 0; i < queries.n; ++i)
    for (int64_t page = 0; page < pool.n_pages; ++page)
      for (int lane = 0; lane < kPageTokens; ++lane)
        scores[(i * pool.n_pages + page) * kPageTokens + lane] =
            sees(pool, queries, i, page, lane) ? score_of(pool, queries, i, page, lane)
                                               : kMinusInfinity;
}

void select_top_k_ref(const IndexPool& pool, const IndexQueries& queries, int32_t k,
                      const Selection& out) {
  for (int64_t i = 0; i < queries.n; ++i) {
    std::vector<Candidate> candidates;
    double mass = 0, shift = kMinusInfinity;
    const bool active = queries.active == nullptr || queries.active[i] != 0;
    for (int64_t page = 0; active && page < pool.n_pages; ++page) {
      for (int lane = 0; lane < kPageTokens; ++lane) {
        if (!sees(pool, queries, i, page, lane)) continue;
        const float z = score_of(pool, queries, i, page, lane);
        const double most = std::max<double>(shift, z);
        mass = mass * std::exp(shift - most) + std::exp(z - most);
        shift = most;
        if (z > (queries.threshold ? queries.threshold[i] : kMinusInfinity))
          candidates.push_back({z, pool.page_first_position[page] + lane,
                                static_cast<int32_t>(page * kPageTokens + lane)});
      }
    }
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return a.z != b.z ? a.z > b.z : a.position < b.position;
    });
    if (candidates.size() > static_cast<size_t>(k)) candidates.resize(k);
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.position < b.position; });
    out.n_selected[i] = static_cast<int32_t>(candidates.size());
    for (int32_t s = 0; s < k; ++s) {
      const bool is_used = s < out.n_selected[i];
      out.selected[i * k + s] = is_used ? candidates[s].slot : -1;
      if (out.scores) out.scores[i * k + s] = is_used ? candidates[s].z : kMinusInfinity;
    }
    if (out.log_mass) out.log_mass[i] = static_cast<float>(shift + std::log(mass));
  }
}

}  // namespace dsrasq::kernels
