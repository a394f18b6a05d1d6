#include "dsrasq/policy/attention_mass.h"

#include "dsrasq/policy/baseline_test_bench.h"
#include "dsrasq/policy/sparse_policy.h"

namespace dsrasq::policy {
namespace {

TEST(PlacesOfGreatest, AreAscendingAndTheFirstOfEquals) {
  const std::vector<float> values{1, 5, 2, 5, 5};
  EXPECT_EQ(places_of_greatest(values, 2), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(places_of_greatest(values, 4), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(places_of_greatest(values, 9).size(), 5u);
  EXPECT_TRUE(places_of_greatest(values, 0).empty());
}

/// Compares the masses of every query with those of attention by plain loops.
class Compared final : public SelectionObserver {
 public:
  Compared(const PolicyOptions& options, const AttentionShape& shape, const TestStream& stream)
      : options_(options),
        shape_(shape),
        stream_(stream),
        mass_(shape, options.sinks, options.max_distance) {}

  void selected(const SelectionRequest& request, const Selection&) override {
    mass_.keep_sinks(request);
    mass_.for_each_query(
        request, [&](int64_t query, std::span<const int32_t> slots, std::span<const float> mass) {
          const int64_t i = request.first + query;
          const std::vector<double> want = weights(request.input.layer, i);
          const int64_t n_far = std::max<int64_t>(0, i - options_.window + 1 - options_.sinks);
          ASSERT_EQ(static_cast<int64_t>(slots.size()), n_far);
          for (size_t s = 0; s < slots.size(); ++s) {
            const int64_t j = request.pool.position_of(slots[s]);
            EXPECT_EQ(j, options_.sinks + static_cast<int64_t>(s));
            EXPECT_NEAR(mass[s], want[static_cast<size_t>(j)], 6e-2 * want[static_cast<size_t>(j)]);
            ++n_compared;
          }
        });
  }

  int64_t n_compared = 0;

 private:
  // Of tokens 0 to i, mean over heads; distances are clamped.
  std::vector<double> weights(int64_t l, int64_t i) const {
    const LoopLayer layer{shape_, stream_, l};
    std::vector<double> mean(static_cast<size_t>(i) + 1);
    for (int64_t h = 0; h < shape_.n_heads; ++h) {
      std::vector<double> share;
      double sum = 0;
      for (int64_t j = 0; j <= i; ++j) {
        const int64_t distance = std::min(i - j, options_.max_distance);
        share.push_back(std::exp(layer.logit(h, i, j, distance, 0)));
        sum += share.back();
      }
      for (size_t j = 0; j < share.size(); ++j)
        mean[j] += share[j] / sum / static_cast<double>(shape_.n_heads);
    }
    return mean;
  }

  PolicyOptions options_;
  const AttentionShape& shape_;
  const TestStream& stream_;
  AttentionMass mass_;
};

TEST(AttentionMass, IsThatOfFullAttention) {
  PolicyOptions options;
  options.name = "recency", options.window = 12, options.sinks = 3, options.top_k = 4;
  options.pool = 256, options.block = 32, options.max_distance = 40;
  const AttentionShape shape = test_shape({});
  at::manual_seed(5);
  const TestStream stream({}, 80);
  const auto policy = make_policy(options, shape, nullptr);
  Compared compared(options, shape, stream);
  dynamic_cast<SparsePolicy&>(*policy).observe(&compared);
  read_on(*policy, stream, 80, {2, 30});
  EXPECT_EQ(compared.n_compared, kTestLayers * 65 * 66 / 2);
}

}  // namespace
}  // namespace dsrasq::policy
