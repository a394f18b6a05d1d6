#include "dsrasq/memory/token_pool.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/kernels/index_scan.h"
#include "dsrasq/kernels/int8_rows.h"

namespace dsrasq::memory {
namespace {

constexpr int32_t kUseOfOneRetrieval = 16;  // leaves room for the decay's fractions
constexpr int32_t kMostUse = 1 << 30;       // far more than what the decay leaves
constexpr int64_t kProtectedBlocks = 2;     // a new page cannot have been of use yet

// One page is being filled, and one may straddle the edge of the window and cannot leave yet.
int64_t pages_for(const PoolConfig& config) {
  return (config.capacity + config.window + config.block + kPageTokens - 1) / kPageTokens + 2;
}

}  // namespace

Retention parse_retention(const std::string& name) {
  if (name == "recency") return Retention::kRecency;
  if (name == "score") return Retention::kScore;
  if (name == "question") return Retention::kQuestion;
  throw Error(ErrorCode::kInvalidArgument, "memory.token_pool",
              "--retention is '" + name + "', want recency, score or question");
}

TokenPool::TokenPool(const PoolConfig& config) : config_(config), n_pages_(pages_for(config)) {
  const int64_t rows = config.n_kv_heads * n_slots();
  keys_ = Buffer<int8_t>(rows * config.head_dim);
  values_ = Buffer<int8_t>(rows * config.head_dim);
  key_scales_ = Buffer<float>(rows);
  value_scales_ = Buffer<float>(rows);
  index_keys_ = Buffer<int8_t>(n_slots() * config.index_dim);
  index_scales_ = Buffer<float>(config.index_dim > 0 ? n_slots() : 0);
  page_first_ = Buffer<int64_t>(n_pages_);
  page_count_ = Buffer<int32_t>(n_pages_);
  page_use_ = Buffer<int32_t>(n_pages_);
  if (config.retention == Retention::kQuestion) probe_scores_ = ProbeScores(n_pages_);
  restored();
}

size_t TokenPool::planned_bytes(const PoolConfig& config) {
  const auto slots = static_cast<size_t>(pages_for(config) * kPageTokens);
  const auto heads = static_cast<size_t>(config.n_kv_heads);
  const size_t of_slot = 2 * heads * (static_cast<size_t>(config.head_dim) + sizeof(float)) +
                         (config.index_dim > 0 ? static_cast<size_t>(config.index_dim) + 4 : 0);
  const size_t of_page = sizeof(int64_t) + 2 * sizeof(int32_t);
  const bool has_probes = config.retention == Retention::kQuestion;
  return slots * of_slot + slots / kPageTokens * of_page +
         (has_probes ? ProbeScores::planned_bytes(pages_for(config)) : 0);
}

size_t TokenPool::bytes() const {
  size_t bytes = 0;
  visit([&bytes](const char*, std::span<std::byte> raw) { bytes += raw.size(); });
  return bytes;
}

int64_t TokenPool::open_page(int64_t position) {
  DSRASQ_CHECK(!free_pages_.empty(), kInternal, "memory.token_pool", "no free page at position ",
               position);
  const int64_t page = free_pages_.back();
  free_pages_.pop_back();
  page_first_[page] = position;
  page_count_[page] = 0;
  page_use_[page] = 0;
  if (config_.retention == Retention::kQuestion) probe_scores_.clear(page);
  return page;
}

void TokenPool::append(int64_t first, int64_t n_tokens, const float* k, const float* v,
                       const float* index_keys) {
  const int64_t heads = config_.n_kv_heads, dim = config_.head_dim, index_dim = config_.index_dim;
  std::vector<int8_t> index_row(static_cast<size_t>(index_dim));
  for (int64_t t = std::max<int64_t>(0, config_.n_sinks - first); t < n_tokens; ++t) {
    if (current_page_ < 0) current_page_ = open_page(first + t);
    const int64_t page = current_page_;
    const int64_t lane = page_count_[page]++, slot = page * kPageTokens + lane;
    for (int64_t g = 0; g < heads; ++g) {
      const int64_t row = (t * heads + g) * dim, place = g * n_slots() + slot;
      kernels::quantize_rows(k + row, 1, dim, keys_.data() + place * dim, &key_scales_[place]);
      kernels::quantize_rows(v + row, 1, dim, values_.data() + place * dim, &value_scales_[place]);
    }
    if (index_dim > 0) {
      kernels::quantize_rows(index_keys + t * index_dim, 1, index_dim, index_row.data(),
                             &index_scales_[slot]);
      kernels::pack_index_key(index_keys_.data() + page * kPageTokens * index_dim, lane,
                              index_row.data(), index_dim);
    }
    ++n_tokens_;
    if (page_count_[page] == kPageTokens) {
      new_pages_.push_back(page);
      current_page_ = -1;
    }
  }
}

// In the order of their positions.
std::vector<int64_t> TokenPool::full_pages() const {
  std::vector<int64_t> stored;
  for (int64_t page = 0; page < n_pages_; ++page)
    if (page_count_[page] == kPageTokens) stored.push_back(page);
  std::sort(stored.begin(), stored.end(),
            [this](int64_t a, int64_t b) { return page_first_[a] < page_first_[b]; });
  return stored;
}

std::vector<TokenPool::RankedPage> TokenPool::ranked_pages() const {
  const std::vector<int64_t> pages = full_pages(), ranks = probe_scores_.best_ranks(pages);
  std::vector<RankedPage> ranked;
  for (size_t i = 0; i < pages.size(); ++i) ranked.push_back({page_first_[pages[i]], ranks[i]});
  return ranked;
}

// Full pages before `protected_from`, the least useful first.
std::vector<int64_t> TokenPool::leaving_order(int64_t protected_from,
                                              std::span<const int64_t> wanted) const {
  std::vector<int64_t> stored = full_pages();
  std::vector<int64_t> usefulness(static_cast<size_t>(n_pages_));  // 0 for all by recency
  if (config_.retention == Retention::kScore)
    std::copy_n(page_use_.data(), n_pages_, usefulness.begin());
  if (config_.retention == Retention::kQuestion) {
    const std::vector<int64_t> ranks = probe_scores_.best_ranks(stored);
    for (size_t i = 0; i < stored.size(); ++i)
      usefulness[static_cast<size_t>(stored[i])] = -ranks[i];
  }
  for (const int64_t page : stored)
    if (std::binary_search(wanted.begin(), wanted.end(), page_first_[page]))
      usefulness[static_cast<size_t>(page)] = std::numeric_limits<int64_t>::max();
  std::erase_if(
      stored, [&](int64_t page) { return page_first_[page] + kPageTokens - 1 >= protected_from; });
  std::stable_sort(stored.begin(), stored.end(), [&](int64_t a, int64_t b) {
    return usefulness[static_cast<size_t>(a)] < usefulness[static_cast<size_t>(b)];
  });
  return stored;
}

void TokenPool::evict(int64_t position, std::span<const int64_t> wanted) {
  const int64_t outside = position - config_.window;  // tokens before this one have left the window
  const int64_t exempt = config_.retention == Retention::kRecency
                             ? 0
                             : std::min(kProtectedBlocks * config_.block, config_.capacity / 2);
  int64_t retrievable = 0;
  for (int64_t page = 0; page < n_pages_; ++page)
    retrievable += std::clamp<int64_t>(outside - page_first_[page], 0, page_count_[page]);
  if (retrievable > config_.capacity) {
    for (const int64_t page : leaving_order(outside - exempt, wanted)) {
      if (retrievable <= config_.capacity) break;
      page_count_[page] = 0;
      free_pages_.push_back(page);
      retrievable -= kPageTokens;
      n_tokens_ -= kPageTokens;
    }
  }
  if (config_.retention == Retention::kScore)
    for (int64_t page = 0; page < n_pages_; ++page) page_use_[page] -= page_use_[page] >> 4;
}

void TokenPool::count_use(const int32_t* slots, int64_t n) {
  for (int64_t i = 0; i < n; ++i) page_use_[slots[i] / kPageTokens] += kUseOfOneRetrieval;
}

std::vector<int64_t> TokenPool::take_new_pages() { return std::exchange(new_pages_, {}); }

std::vector<int32_t> TokenPool::slots_by_position() const {
  std::vector<int64_t> pages;
  for (int64_t page = 0; page < n_pages_; ++page)
    if (page_count_[page] > 0) pages.push_back(page);
  std::sort(pages.begin(), pages.end(),
            [this](int64_t a, int64_t b) { return page_first_[a] < page_first_[b]; });
  std::vector<int32_t> slots;
  for (int64_t page : pages)
    for (int32_t lane = 0; lane < page_count_[page]; ++lane)
      slots.push_back(static_cast<int32_t>(page * kPageTokens) + lane);
  return slots;
}

std::vector<int64_t> TokenPool::gather(int64_t first, int64_t end, std::vector<float>& k,
                                       std::vector<float>& v) const {
  const int64_t heads = config_.n_kv_heads, dim = config_.head_dim;
  std::vector<int64_t> places;
  for (const int32_t slot : slots_by_position()) {
    if (position_of(slot) < first || position_of(slot) >= end) continue;
    const auto n = static_cast<int64_t>(places.size());
    k.resize(static_cast<size_t>((n + 1) * heads * dim));
    v.resize(k.size());
    for (int64_t g = 0; g < heads; ++g) {
      const int64_t place = g * n_slots() + slot, row = (n * heads + g) * dim;
      kernels::dequantize_rows(keys_.data() + place * dim, &key_scales_[place], 1, dim,
                               k.data() + row);
      kernels::dequantize_rows(values_.data() + place * dim, &value_scales_[place], 1, dim,
                               v.data() + row);
    }
    places.push_back(position_of(slot) - first);
  }
  return places;
}

void TokenPool::restored() {
  probe_scores_.check();
  n_tokens_ = 0;
  current_page_ = -1;
  free_pages_.clear();
  new_pages_.clear();
  for (int64_t page = n_pages_ - 1; page >= 0; --page) {
    DSRASQ_CHECK(page_count_[page] >= 0 && page_count_[page] <= kPageTokens &&
                     page_first_[page] >= 0 && page_use_[page] >= 0 && page_use_[page] <= kMostUse,
                 kBadInput, "memory.token_pool", "page ", page, " of the saved pool is damaged");
    n_tokens_ += page_count_[page];
    if (page_count_[page] == 0) free_pages_.push_back(page);
    if (page_count_[page] > 0 && page_count_[page] < kPageTokens) current_page_ = page;
  }
}

void TokenPool::check_position(int64_t position) const {
  const int64_t n_sinks = config_.n_sinks, n_seen = std::max<int64_t>(0, position - n_sinks);
  std::vector<int64_t> firsts;
  int64_t n_filling = 0;
  for (int64_t page = 0; page < n_pages_; ++page) {
    const int64_t first = page_first_[page], count = page_count_[page];
    if (count == 0) continue;
    const bool is_full = count == kPageTokens;
    DSRASQ_CHECK(first >= n_sinks && (first - n_sinks) % kPageTokens == 0 &&
                     (is_full ? first <= position - count : first == position - count),
                 kBadInput, "memory.token_pool", "page ", page, " of the saved pool holds ", count,
                 " tokens from position ", first, ", which cannot be at position ", position);
    firsts.push_back(first);
    if (!is_full) n_filling = count;
  }
  std::sort(firsts.begin(), firsts.end());
  DSRASQ_CHECK(std::adjacent_find(firsts.begin(), firsts.end()) == firsts.end() &&
                   n_filling == n_seen % kPageTokens,
               kBadInput, "memory.token_pool", "the pages of the saved pool are not those of ",
               position, " tokens");
  const int64_t in_block = position % config_.block;
  const int64_t to_come =
      in_block == 0 ? 0 : config_.block - in_block - std::max<int64_t>(0, n_sinks - position);
  const auto n_free = static_cast<int64_t>(free_pages_.size());
  DSRASQ_CHECK(n_free * kPageTokens + (kPageTokens - n_filling) % kPageTokens >= to_come, kBadInput,
               "memory.token_pool", "the saved pool has ", n_free,
               " free pages, too few for the next ", to_come, " tokens");
}

}  // namespace dsrasq::memory
