// The bound: picks by the attention mass itself, computed from everything the memory holds.

#include "dsrasq/policy/attention_mass.h"

namespace dsrasq::policy {
namespace {

class OracleSelector final : public Selector {
 public:
  explicit OracleSelector(AttentionMass mass) : mass_(std::move(mass)) {}

  void select(const SelectionRequest& request, Selection& selection) override {
    mass_.keep_sinks(request);
    mass_.for_each_query(
        request, [&](int64_t query, std::span<const int32_t> slots, std::span<const float> mass) {
          const std::vector<int64_t> best = places_of_greatest(mass, selection.top_k);
          selection.counts[static_cast<size_t>(query)] = static_cast<int32_t>(best.size());
          for (size_t i = 0; i < best.size(); ++i)
            selection.slots[static_cast<size_t>(query * selection.top_k) + i] =
                slots[static_cast<size_t>(best[i])];
        });
  }

 private:
  AttentionMass mass_;
};

}  // namespace

std::unique_ptr<Selector> make_oracle_selector(const AttentionShape& shape, int64_t n_sinks,
                                               int64_t max_distance) {
  return std::make_unique<OracleSelector>(AttentionMass(shape, n_sinks, max_distance));
}

}  // namespace dsrasq::policy
