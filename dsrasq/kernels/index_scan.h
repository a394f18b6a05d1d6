#pragma once

// The retriever's scan (design 4): scores every pool token against the index queries and keeps the
// best k, in one pass over the int8 index keys. With c_j the key's scale, a_h = weight * scale of
// head h:
//   z_ij = c_j * (a_0 * max(0, q_i0 . k_j) + a_1 * max(0, q_i1 . k_j) + ...) + 0
// The dot products are exact int32; each product and sum of the rest is rounded by itself to fp32,
// heads in order. So scores and selections are bit-equal on every instruction set, for any number
// of threads, and for any division of the queries into calls.

#include <cstdint>

namespace dsrasq::kernels {

inline constexpr int64_t kPageTokens = 16;
inline constexpr int kMaxIndexHeads = 8;
inline constexpr int kMaxIndexDim = 64;

/// The index keys of a pool: pages of 16 tokens with consecutive positions, in any order.
/// The token at `page` and `lane` has slot `page * 16 + lane` and position
/// `page_first_position[page] + lane`.
struct IndexPool {
  const int8_t* keys;                  ///< [n_pages, dim / 4, 16, 4], codes in [-127, 127]
  const float* key_scale;              ///< [n_pages, 16]
  const int64_t* page_first_position;  ///< [n_pages], multiples of 16; no two live pages equal
  const int32_t* page_count;           ///< [n_pages], tokens held, 0 to 16; 0: the page is free
  int64_t n_pages;
  int32_t dim;  ///< 16, 32, 48 or 64
  /// Live pages by ascending position, [n_ordered]; null: found at each call. Worth giving when
  /// decoding, where the order changes every block only.
  const int32_t* page_order = nullptr;
  int64_t n_ordered = 0;
};

/// Queries of one call. Query i sees tokens with position <= limit[i].
struct IndexQueries {
  const int8_t* codes;               ///< [n, n_heads, dim], in [-63, 63]
  const float* scale;                ///< [n, n_heads]
  const float* weight;               ///< [n, n_heads]
  const int64_t* limit;              ///< [n]
  const float* threshold = nullptr;  ///< [n], keeps only z > threshold; null: no threshold
  const uint8_t* active = nullptr;   ///< [n], 0: no scan for this query; null: all scan
  int64_t n = 0;
  int32_t n_heads = 4;  ///< 1 to 8
};

/// What `select_top_k` writes; all but `selected` and `n_selected` may be null.
struct Selection {
  int32_t* selected;          ///< [n, k], slots by ascending position, then -1
  int32_t* n_selected;        ///< [n]
  float* scores = nullptr;    ///< [n, k], z of the selected, then -infinity
  float* log_mass = nullptr;  ///< [n], log of the sum of exp z over all visible tokens
};

/// Writes one key, [dim] codes, to `lane` of a page [dim / 4, 16, 4].
void pack_index_key(int8_t* page_keys, int lane, const int8_t* key, int dim);

/// The k best visible tokens of each query; of equal scores the lower position wins. A score that
/// is not a number is never selected. O(n * pages) with O(k) memory a query.
void select_top_k(const IndexPool& pool, const IndexQueries& queries, int32_t k,
                  const Selection& out);

/// All scores: [n, n_pages * 16], -infinity where a query sees no token. `threshold` and `active`
/// are not read.
void index_scores(const IndexPool& pool, const IndexQueries& queries, float* scores);

/// Some pages of a pool as a pool of their own: slots count from its first page.
IndexPool pages_of(const IndexPool& pool, int64_t first_page, int64_t n_pages);

/// The same two by plain loops: the oracle. `log_mass` is computed in double.
void select_top_k_ref(const IndexPool& pool, const IndexQueries& queries, int32_t k,
                      const Selection& out);
void index_scores_ref(const IndexPool& pool, const IndexQueries& queries, float* scores);

/// The instruction set in use, e.g. "AVX2" or "AVX3+VNNI".
const char* index_scan_target();

/// For tests: whether AVX-512 VNNI may be used where the machine has it (it may at the start).
void allow_index_scan_vnni(bool allowed);

}  // namespace dsrasq::kernels
