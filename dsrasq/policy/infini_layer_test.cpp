#include "dsrasq/policy/infini_layer.h"

#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 150, kSegment = 40;

// A different gate for every head.
at::Tensor test_gates(int64_t n_heads) { return at::linspace(0.1, 0.9, n_heads); }

std::unique_ptr<Policy> make(const AttentionShape& shape, bool is_delta) {
  std::vector<std::unique_ptr<LayerMemory>> layers;
  for (int64_t l = 0; l < kTestLayers; ++l)
    layers.push_back(std::make_unique<InfiniLayer>(HeadShape::of(shape, l, at::kCPU), kSegment,
                                                   is_delta, test_gates(shape.n_heads)));
  return std::make_unique<LayeredPolicy>("infini", shape, at::kCPU, std::move(layers));
}

// The memory of a KV head as what linear attention stands for: every token that was written, and
// a weighted mean over them.
struct WrittenTokens {
  std::vector<const float*> keys{};
  std::vector<std::vector<double>> values{};

  static double feature(double x) { return x > 0 ? x + 1 : std::exp(x); }
  std::vector<double> read(const float* query, size_t n_written) const {
    std::vector<double> out(kTestDim);
    double sum = 0;
    for (size_t j = 0; j < n_written; ++j) {
      double weight = 0;
      for (int64_t d = 0; d < kTestDim; ++d)
        weight += feature(static_cast<double>(query[d])) * feature(static_cast<double>(keys[j][d]));
      sum += weight;
      for (size_t d = 0; d < kTestDim; ++d) out[d] += weight * values[j][d];
    }
    for (double& x : out) x /= sum;
    return out;
  }
};

// All tokens of KV head g; with the delta rule without what the segments before gave for their key.
WrittenTokens written(const LoopLayer& loop, int64_t g, bool is_delta) {
  WrittenTokens all;
  for (int64_t j = 0; j < kTokens; ++j) {
    const int64_t h = g * loop.n_rep(), start = j / kSegment * kSegment;
    const float* value = loop.value(j, h);
    std::vector<double> stored(value, value + kTestDim);
    all.keys.push_back(loop.key(j, h));
    if (is_delta && start > 0) {
      const auto known = all.read(loop.key(j, h), static_cast<size_t>(start));
      for (size_t d = 0; d < kTestDim; ++d) stored[d] -= known[d];
    }
    all.values.push_back(std::move(stored));
  }
  return all;
}

TEST(InfiniLayer, ReadsItsSegmentAndAMeanOfAllBeforeIt) {
  at::manual_seed(31);
  for (const TestHeads& heads : kTestHeads)
    for (const bool is_delta : {false, true}) {
      const AttentionShape shape = test_shape(heads);
      const TestStream stream(heads, kTokens);
      const auto policy = make(shape, is_delta);
      const at::Tensor out = read_on(*policy, stream, kTokens, {31, 1, 60});
      const at::Tensor gates = test_gates(heads.n_heads);
      for (int64_t l = 0; l < kTestLayers; ++l) {
        const LoopLayer loop{shape, stream, l};
        for (int64_t h = 0; h < heads.n_heads; ++h) {
          const WrittenTokens memory = written(loop, h / heads.n_rep(), is_delta);
          const double gate = gates[h].item<double>();
          for (int64_t i = 0; i < kTokens; ++i) {
            const int64_t start = i / kSegment * kSegment;
            std::vector<int64_t> near = up_to(i + 1);
            near.erase(near.begin(), near.begin() + start);
            std::vector<double> want = loop.sum(h, loop.weights(h, i, near), near);
            if (start > 0) {
              const auto far = memory.read(loop.query(i, h), static_cast<size_t>(start));
              for (size_t d = 0; d < kTestDim; ++d) want[d] = gate * far[d] + (1 - gate) * want[d];
            }
            expect_read(out, l, i, h, want);
          }
        }
        std::vector<int64_t> begun = up_to(kTokens);
        begun.erase(begun.begin(), begun.begin() + kTokens / kSegment * kSegment);
        for (const auto& held : layered(*policy).held(l)) EXPECT_EQ(held, begun);
      }
    }
}

// Plain writing weighs a value that comes again by its count, in M and in z, and the mean stays.
// The delta rule adds to M only what a read does not give yet, while z grows as before.
TEST(InfiniLayer, TheDeltaRuleWritesWhatIsNotKnown) {
  at::manual_seed(32);
  const TestHeads heads = kTestHeads[0];
  const AttentionShape shape = test_shape(heads);
  TestStream stream(heads, kTokens);
  for (at::Tensor* all : {&stream.k, &stream.v})  // every token is the same
    all->copy_(all->narrow(1, 0, 1).clone().expand_as(*all));
  const at::Tensor value = stream.v[0][0].repeat_interleave(heads.n_rep(), 0);  // [H, D]
  const at::Tensor gates = test_gates(heads.n_heads).unsqueeze(1);
  for (const bool is_delta : {false, true}) {
    const auto policy = make(shape, is_delta);
    const at::Tensor out = read_on(*policy, stream, kTokens);
    const std::vector<double> known = is_delta ? std::vector{1.0, 0.5, 0.5} : std::vector(3, 1.0);
    for (size_t before = 1; before <= known.size(); ++before) {
      const at::Tensor read = out[0][static_cast<int64_t>(before) * kSegment];
      const at::Tensor want = (gates * known[before - 1] + (1 - gates)) * value;
      EXPECT_LT(largest_difference(read, want), 1e-4) << before << " segments before";
    }
  }
}

}  // namespace
}  // namespace dsrasq::policy
