#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/dense_attention.cpp"
#include "dsrasq/kernels/simd_targets.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <algorithm>
#include <vector>

#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/attention_rows-inl.h"
#include "dsrasq/kernels/dense_attention.h"
#include "dsrasq/kernels/scratch.h"

#ifndef DSRASQ_KERNELS_DENSE_ATTENTION_ONCE_
#define DSRASQ_KERNELS_DENSE_ATTENTION_ONCE_
namespace dsrasq::kernels {

// Keys are taken in segments that start at multiples of 512: each has its own softmax, and those
// are joined in ascending order, whether one thread makes them or several.
inline constexpr int64_t kSegmentTiles = 32;
inline constexpr int64_t kSegmentTokens = kSegmentTiles * kTileTokens;

/// A few neighbouring queries and one KV head. Of each row: the largest score so far, the sum of
/// exp(score - largest), and the values weighted likewise.
struct DenseTile {
  const DenseAttentionParams* params;
  int64_t first, n_queries;  ///< query rows of the call
  int64_t kv_head;
  const float* q;  ///< [rows, D], times the scale
  float* most;     ///< [rows]
  float* sum;      ///< [rows]
  float* value;    ///< [rows, D]
};

}  // namespace dsrasq::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Calls body(first tile, its place in the cache, tiles) for the tiles that hold tokens
// [begin, end), in stretches that are contiguous and stay in the first cache.
template <class Body>
static HWY_INLINE void for_each_stretch(const KvTiles& cache, int64_t kv_head, int64_t begin,
                                        int64_t end, const Body& body) {
  const int64_t last = (end - 1) / kTileTokens + 1;
  for (int64_t tile = begin / kTileTokens; tile < last;) {
    const int64_t place = tile % cache.n_tiles;
    const int64_t n = std::min({int64_t{4}, last - tile, cache.n_tiles - place});
    body(tile, kv_head * cache.n_tiles + place, n);
    tile += n;
  }
}

// What one row sees of a segment: [begin, end), maybe empty.
static void visible(const DenseAttentionParams& p, int64_t query, int64_t segment, int64_t& begin,
                    int64_t& end) {
  const int64_t position = p.pos0 + query;
  begin = std::max(segment * kSegmentTokens, p.window > 0 ? position - p.window + 1 : 0);
  end = std::min((segment + 1) * kSegmentTokens, position + 1);
  end = std::max(begin, end);
}

/// Attends to one segment: overwrites the tile's most, sum and value.
void attend_segment(const DenseTile& tile, int64_t segment) {
  const DenseAttentionParams& p = *tile.params;
  const int64_t D = p.cache.head_dim, n_rep = p.H / p.cache.n_kv_heads;
  const int64_t rows = tile.n_queries * n_rep, origin = segment * kSegmentTokens;
  std::fill_n(tile.most, rows, kMinusInfinity);
  std::fill_n(tile.sum, rows, 0.0f);
  std::fill_n(tile.value, rows * D, 0.0f);
  int64_t begin, end, unused;
  visible(p, tile.first, segment, begin, unused);
  visible(p, tile.first + tile.n_queries - 1, segment, unused, end);
  end = std::min(end, origin + kSegmentTokens);
  if (begin >= end) return;
  thread_local Scratch scratch;
  auto* scores = scratch.get<float>(rows * kSegmentTokens);
  const int64_t first_column = begin / 16 * 16 - origin;
  const int64_t columns = (end - origin + 15) / 16 * 16 - first_column;
  for_each_stretch(p.cache, tile.kv_head, begin, end, [&](int64_t at, int64_t place, int64_t n) {
    multiply_rows({.a = tile.q,
                   .b = p.cache.k + place * D * kTileTokens,
                   .out = scores + at * kTileTokens - origin,
                   .depth = D,
                   .lda = D,
                   .ldb = kTileTokens,
                   .b_block = D * kTileTokens,
                   .ldo = kSegmentTokens,
                   .accumulate = false},
                  rows, n);
  });
  for (int64_t row = 0; row < rows; ++row) {
    int64_t row_begin, row_end;
    visible(p, tile.first + row / n_rep, segment, row_begin, row_end);
    float* s = scores + row * kSegmentTokens + first_column;
    const int64_t shift = origin + first_column;
    const float most = finish_scores(s, columns, row_begin - shift, row_end - shift, p.softcap);
    auto sum = hn::Zero(FloatTag());
    exp_scores(s, columns, most, sum);
    tile.most[row] = most;
    tile.sum[row] = ordered_sum(sum);
  }
  for_each_stretch(p.cache, tile.kv_head, begin, end, [&](int64_t at, int64_t place, int64_t n) {
    const int64_t from = std::max(begin, at * kTileTokens);
    const int64_t to = std::min(end, (at + n) * kTileTokens);
    multiply_rows({.a = scores + from - origin,
                   .b = p.cache.v + (place * kTileTokens + from - at * kTileTokens) * D,
                   .out = tile.value,
                   .depth = to - from,
                   .lda = kSegmentTokens,
                   .ldb = D,
                   .b_block = 16,
                   .ldo = D,
                   .accumulate = true},
                  rows, D / 16);
  });
}

/// into = the joint softmax of `into` and the later `part`, row by row.
void join_segment(const DenseTile& into, const DenseTile& part) {
  const FloatTag d;
  const DenseAttentionParams& p = *into.params;
  const int64_t D = p.cache.head_dim, rows = into.n_queries * (p.H / p.cache.n_kv_heads);
  for (int64_t row = 0; row < rows; ++row) {
    if (part.most[row] == kMinusInfinity) continue;
    const float most = std::max(into.most[row], part.most[row]);
    const auto old_factor = exp_of(hn::Set(d, into.most[row] - most));
    const auto new_factor = exp_of(hn::Set(d, part.most[row] - most));
    into.most[row] = most;
    into.sum[row] =
        into.sum[row] * hn::GetLane(old_factor) + part.sum[row] * hn::GetLane(new_factor);
    float* value = into.value + row * D;
    for (int64_t c = 0; c < D; c += kLanes) {
      const auto kept = hn::Mul(hn::LoadU(d, value + c), old_factor);
      const auto added = hn::Mul(hn::LoadU(d, part.value + row * D + c), new_factor);
      hn::StoreU(hn::Add(kept, added), d, value + c);
    }
  }
}

void pack_dense_queries(const DenseTile& tile, float* rows) {
  const DenseAttentionParams& p = *tile.params;
  pack_query_rows(p.q, tile.first, tile.n_queries, p.H, tile.kv_head, p.H / p.cache.n_kv_heads,
                  p.cache.head_dim, p.scale, rows);
}

void write_dense_output(const DenseTile& tile) {
  const DenseAttentionParams& p = *tile.params;
  const int64_t D = p.cache.head_dim, n_rep = p.H / p.cache.n_kv_heads;
  for (int64_t row = 0; row < tile.n_queries * n_rep; ++row) {
    const int64_t query = tile.first + row / n_rep, head = tile.kv_head * n_rep + row % n_rep;
    float* out = p.out + (query * p.H + head) * D;
    std::copy_n(tile.value + row * D, D, out);
    scale_values(out, D, 1.0f / tile.sum[row]);
  }
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {

HWY_EXPORT(attend_segment);
HWY_EXPORT(join_segment);
HWY_EXPORT(pack_dense_queries);
HWY_EXPORT(write_dense_output);

namespace {

constexpr int64_t kTileRows = 24;  // rows that share a pass over the keys

/// One call of `dense_attention`.
class DenseWork {
 public:
  explicit DenseWork(const DenseAttentionParams& params)
      : p_(params), D_(params.cache.head_dim), n_rep_(params.H / params.cache.n_kv_heads) {
    tile_queries_ = std::clamp<int64_t>(kTileRows / n_rep_, 1, p_.n);
    n_items_ = (p_.n + tile_queries_ - 1) / tile_queries_ * p_.cache.n_kv_heads;
  }

  void run() {
    if (n_items_ >= num_threads())
      parallel_for(n_items_, 1, [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) attend_whole(item);
      });
    else
      attend_split();
  }

 private:
  int64_t floats_a_tile() const { return tile_queries_ * n_rep_ * (D_ + 16); }

  DenseTile tile_of(int64_t item) const {
    const int64_t first = item / p_.cache.n_kv_heads * tile_queries_;
    return {.params = &p_,
            .first = first,
            .n_queries = std::min(tile_queries_, p_.n - first),
            .kv_head = item % p_.cache.n_kv_heads,
            .q = nullptr,
            .most = nullptr,
            .sum = nullptr,
            .value = nullptr};
  }

  void lend(DenseTile& tile, float* memory) const {
    const int64_t rows = tile_queries_ * n_rep_;
    tile.value = memory;
    tile.most = memory + rows * D_;
    tile.sum = tile.most + rows;
  }

  // Segments that some query of the item sees: [first, last).
  void segments_of(int64_t item, int64_t& first, int64_t& last) const {
    const DenseTile tile = tile_of(item);
    const int64_t position = p_.pos0 + tile.first;
    const int64_t lowest = p_.window > 0 ? std::max<int64_t>(0, position - p_.window + 1) : 0;
    first = lowest / kSegmentTokens;
    last = (position + tile.n_queries - 1) / kSegmentTokens + 1;
  }

  void attend_whole(int64_t item) const {
    thread_local Scratch scratch;
    auto* memory = scratch.get<float>(3 * floats_a_tile());
    DenseTile total = tile_of(item);
    HWY_DYNAMIC_DISPATCH(pack_dense_queries)(total, memory);
    total.q = memory;
    DenseTile part = total;
    lend(total, memory + floats_a_tile());
    lend(part, memory + 2 * floats_a_tile());
    int64_t first = 0, last = 0;
    segments_of(item, first, last);
    HWY_DYNAMIC_DISPATCH(attend_segment)(total, first);
    for (int64_t segment = first + 1; segment < last; ++segment) {
      HWY_DYNAMIC_DISPATCH(attend_segment)(part, segment);
      HWY_DYNAMIC_DISPATCH(join_segment)(total, part);
    }
    HWY_DYNAMIC_DISPATCH(write_dense_output)(total);
  }

  // Few queries over many keys (decoding): the segments go to different threads.
  void attend_split() const {
    struct Part {
      int64_t item, segment;
    };
    std::vector<Part> parts;
    for (int64_t item = 0; item < n_items_; ++item) {
      int64_t first = 0, last = 0;
      segments_of(item, first, last);
      for (int64_t segment = first; segment < last; ++segment) parts.push_back({item, segment});
    }
    thread_local Scratch scratch;
    const auto n_parts = static_cast<int64_t>(parts.size());
    auto* memory = scratch.get<float>((n_items_ + n_parts) * floats_a_tile());
    std::vector<DenseTile> tiles;
    for (int64_t i = 0; i < n_parts; ++i) {
      DenseTile tile = tile_of(parts[i].item);
      float* q = memory + tile_index(parts[i].item);
      if (i == 0 || parts[i].item != parts[i - 1].item)
        HWY_DYNAMIC_DISPATCH(pack_dense_queries)(tile, q);
      tile.q = q;
      lend(tile, memory + tile_index(n_items_ + i));
      tiles.push_back(tile);
    }
    parallel_for(n_parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        HWY_DYNAMIC_DISPATCH(attend_segment)(tiles[i], parts[i].segment);
    });
    for (int64_t i = 0, first = 0; i < n_parts; ++i) {
      if (parts[i].item == parts[first].item) {
        if (i > first) HWY_DYNAMIC_DISPATCH(join_segment)(tiles[first], tiles[i]);
      } else {
        HWY_DYNAMIC_DISPATCH(write_dense_output)(tiles[first]);
        first = i;
      }
      if (i + 1 == n_parts) HWY_DYNAMIC_DISPATCH(write_dense_output)(tiles[first]);
    }
  }

  int64_t tile_index(int64_t i) const { return i * floats_a_tile(); }

  const DenseAttentionParams& p_;
  int64_t D_, n_rep_, tile_queries_ = 1, n_items_ = 0;
};

}  // namespace

void dense_attention(const DenseAttentionParams& params) {
  if (params.n > 0) DenseWork(params).run();
}

}  // namespace dsrasq::kernels
#endif
