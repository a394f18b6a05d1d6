#pragma once

// The pool of one layer: older tokens that can still be retrieved, int8, in pages of 16 consecutive
// tokens of which the least useful leave when it is full (design 3).

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "dsrasq/core/buffer.h"
#include "dsrasq/memory/probe_scores.h"

namespace dsrasq::memory {

inline constexpr int64_t kPageTokens = 16;

/// What decides which pages stay in a full pool.
enum class Retention : int {
  kRecency,   ///< the latest
  kScore,     ///< those retrieved most, with decay
  kQuestion,  ///< those that a word of the question retrieves first
};
/// Throws kInvalidArgument naming the choices.
Retention parse_retention(const std::string& name);

struct PoolConfig {
  int64_t n_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t index_dim = 0;  ///< d_i; 0 when nothing is scored
  int64_t capacity = 0;   ///< P: retrievable tokens after an eviction
  int64_t window = 0;     ///< W: tokens that are stored already but still in the window
  int64_t block = 512;    ///< m: most tokens between two evictions
  int64_t n_sinks = 0;    ///< tokens before this position are never stored
  Retention retention = Retention::kRecency;
};

/// Tokens are stored when they are read; a query at position i may retrieve those with positions
/// up to i - W.
class TokenPool {
 public:
  TokenPool() = default;
  explicit TokenPool(const PoolConfig& config);

  /// Stores T tokens at positions first, ...: keys before RoPE and values `[T, Hkv, D]`; index keys
  /// `[T, d_i]` fp32, or null when the pool has none.
  void append(int64_t first, int64_t n_tokens, const float* k, const float* v,
              const float* index_keys);

  /// At a multiple of m: drops pages until at most `capacity` tokens lie outside the window, then
  /// halves the use counts' weight. `position` is that of the next token. The pages that start at
  /// `wanted` positions (ascending) leave last.
  void evict(int64_t position, std::span<const int64_t> wanted = {});

  /// Adds to the use count of the pages of these pool slots (for Retention::kScore).
  void count_use(const int32_t* slots, int64_t n);
  /// What a probe of the question makes of a page (for Retention::kQuestion).
  void set_probe_score(int64_t page, int64_t probe, float score) {
    probe_scores_.set(page, probe, score);
  }

  /// A full page by the position of its first token, and its best rank among those stored here for
  /// any probe, 0 the best (for Retention::kQuestion).
  struct RankedPage {
    int64_t first = 0, rank = 0;
  };
  std::vector<RankedPage> ranked_pages() const;

  const PoolConfig& config() const { return config_; }
  int64_t n_pages() const { return n_pages_; }  ///< in the arrays, empty ones included
  int64_t n_slots() const { return n_pages_ * kPageTokens; }
  int64_t n_tokens() const { return n_tokens_; }
  /// Pages filled since the last call of this function, for scoring them once.
  std::vector<int64_t> take_new_pages();
  /// Slots of stored tokens in the order of their positions.
  std::vector<int32_t> slots_by_position() const;
  /// Copies out what is stored of positions [first, end), in their order: keys before RoPE and
  /// values `[n, Hkv, D]` fp32. Returns the n positions, counted from `first`.
  std::vector<int64_t> gather(int64_t first, int64_t end, std::vector<float>& k,
                              std::vector<float>& v) const;
  int64_t position_of(int64_t slot) const {
    return page_first_[slot / kPageTokens] + slot % kPageTokens;
  }

  const int8_t* keys() const { return keys_.data(); }                 ///< `[Hkv, n_slots, D]`
  const int8_t* values() const { return values_.data(); }             ///< `[Hkv, n_slots, D]`
  const float* key_scales() const { return key_scales_.data(); }      ///< `[Hkv, n_slots]`
  const float* value_scales() const { return value_scales_.data(); }  ///< `[Hkv, n_slots]`
  const int8_t* index_keys() const { return index_keys_.data(); }     ///< `[n_pages, d_i/4, 16, 4]`
  const float* index_scales() const { return index_scales_.data(); }  ///< `[n_pages, 16]`
  const int64_t* page_first() const { return page_first_.data(); }    ///< `[n_pages]`
  const int32_t* page_count() const { return page_count_.data(); }    ///< `[n_pages]`

  size_t bytes() const;
  static size_t planned_bytes(const PoolConfig& config);

  template <class Visit>
  void visit(Visit&& visit) const {
    visit("pool_keys", keys_.raw()), visit("pool_values", values_.raw());
    visit("pool_key_scales", key_scales_.raw()), visit("pool_value_scales", value_scales_.raw());
    visit("pool_index_keys", index_keys_.raw()), visit("pool_index_scales", index_scales_.raw());
    visit("pool_page_first", page_first_.raw()), visit("pool_page_count", page_count_.raw());
    visit("pool_page_use", page_use_.raw()), probe_scores_.visit(visit);
  }
  /// After the buffers were restored: recomputes what is derived from them. Throws kBadInput naming
  /// a page that cannot be.
  void restored();
  /// Throws kBadInput unless the pages can be those of a sequence whose next token is at
  /// `position`: each at a place of its own, and room for what comes before the next eviction.
  void check_position(int64_t position) const;

 private:
  int64_t open_page(int64_t position);
  std::vector<int64_t> full_pages() const;
  std::vector<int64_t> leaving_order(int64_t protected_from, std::span<const int64_t> wanted) const;

  PoolConfig config_;
  int64_t n_pages_ = 0, n_tokens_ = 0;
  int64_t current_page_ = -1;  // the one being filled
  std::vector<int64_t> free_pages_, new_pages_;
  Buffer<int8_t> keys_, values_, index_keys_;
  Buffer<float> key_scales_, value_scales_, index_scales_;
  ProbeScores probe_scores_;
  Buffer<int64_t> page_first_;
  Buffer<int32_t> page_count_, page_use_;
};

}  // namespace dsrasq::memory
