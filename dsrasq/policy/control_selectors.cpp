// Selections that need no training: what the learned one is compared with.

#include <algorithm>
#include <unordered_set>

#include "dsrasq/policy/selector.h"

namespace dsrasq::policy {
namespace {

uint64_t mix(uint64_t x) {  // SplitMix64
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// Calls `pick(query, visible, n)` with the slots that the query may pick, ordered by position.
template <class Pick>
void for_each_query(const SelectionRequest& request, const Pick& pick) {
  const std::vector<int32_t> slots = request.pool.slots_by_position();
  auto end = slots.begin();
  for (int64_t t = 0; t < request.n_queries; ++t) {
    const int64_t last = request.first + t - request.window;
    while (end != slots.end() && request.pool.position_of(*end) <= last) ++end;
    pick(t, slots.data(), static_cast<int64_t>(end - slots.begin()));
  }
}

class RecencySelector final : public Selector {
 public:
  void select(const SelectionRequest& request, Selection& selection) override {
    for_each_query(request, [&](int64_t t, const int32_t* visible, int64_t n) {
      const int64_t k = std::min(n, selection.top_k);
      std::copy_n(visible + n - k, k, selection.slots.data() + t * selection.top_k);
      selection.counts[static_cast<size_t>(t)] = static_cast<int32_t>(k);
    });
  }
};

class RandomSelector final : public Selector {
 public:
  explicit RandomSelector(uint64_t seed) : seed_(seed) {}

  void select(const SelectionRequest& request, Selection& selection) override {
    for_each_query(request, [&](int64_t t, const int32_t* visible, int64_t n) {
      const int64_t k = std::min(n, selection.top_k);
      uint64_t state = mix(mix(seed_ ^ static_cast<uint64_t>(request.input.layer)) ^
                           static_cast<uint64_t>(request.first + t));
      // Floyd's sampling without replacement: the ranks are then sorted, so slots are by position.
      std::unordered_set<int64_t> ranks;
      for (int64_t top = n - k; top < n; ++top) {
        state = mix(state);
        const auto rank = static_cast<int64_t>(state % static_cast<uint64_t>(top + 1));
        if (!ranks.insert(rank).second) ranks.insert(top);
      }
      std::vector<int64_t> sorted(ranks.begin(), ranks.end());
      std::sort(sorted.begin(), sorted.end());
      for (int64_t i = 0; i < k; ++i)
        selection.slots[static_cast<size_t>(t * selection.top_k + i)] =
            visible[sorted[static_cast<size_t>(i)]];
      selection.counts[static_cast<size_t>(t)] = static_cast<int32_t>(k);
    });
  }

 private:
  uint64_t seed_;
};

}  // namespace

void Selection::resize(int64_t n_queries, int64_t k) {
  top_k = k;
  slots.assign(static_cast<size_t>(n_queries * k), 0);
  counts.assign(static_cast<size_t>(n_queries), 0);
}

std::unique_ptr<Selector> make_random_selector(uint64_t seed) {
  return std::make_unique<RandomSelector>(seed);
}

std::unique_ptr<Selector> make_recency_selector() { return std::make_unique<RecencySelector>(); }

}  // namespace dsrasq::policy
