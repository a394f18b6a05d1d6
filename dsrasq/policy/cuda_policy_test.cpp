#include "dsrasq/policy/cuda_policy.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace dsrasq::policy {
namespace {

constexpr int64_t kEmbd = 96, kHeads = 6, kKvHeads = 2, kDim = 64, kLayers = 2, kTokens = 700;

AttentionShape shape_with(int64_t sliding_window = 0) {
  std::vector<double> inv_freq;
  for (int64_t i = 0; i < kDim / 2; ++i)
    inv_freq.push_back(std::pow(1e4, -2.0 * static_cast<double>(i) / kDim));
  AttentionShape shape{.n_layers = kLayers,
                       .n_embd = kEmbd,
                       .n_heads = kHeads,
                       .n_kv_heads = kKvHeads,
                       .head_dim = kDim,
                       .context = 512,
                       .logit_softcap = 0,
                       .layers = {}};
  for (int64_t i = 0; i < kLayers; ++i)
    shape.layers.push_back({i == 0 ? sliding_window : 0, 0.15, ops::Rope(inv_freq)});
  return shape;
}

retriever::Adapter adapter_with_indexers() {
  retriever::Adapter adapter;
  adapter.n_embd = kEmbd;
  adapter.n_heads = 4;
  adapter.head_dim = 32;
  adapter.d_max = 200;
  for (int64_t i = 0; i < kLayers; ++i) {
    adapter.indexers[i] = retriever::Adapter::random(kEmbd, 4, 32, 7 + static_cast<uint64_t>(i));
    adapter.indexers[i].head_bias.fill_(
        9);  // positive head weights: no scores of 0 that many share
  }
  return adapter;
}

PolicyOptions options_of(const std::string& name) {
  PolicyOptions options;
  options.name = name;
  options.window = 48;
  options.sinks = 3;
  options.top_k = 24;
  options.pool = 256;  // less than the text: pages leave
  options.block = 64;
  options.max_distance = 200;
  return options;
}

struct Stream {
  at::Tensor x, q, k, v;  // [L, T, ...], values that bf16 holds
  Stream() {
    const auto rows = [](at::IntArrayRef sizes) {
      return at::randn(sizes).to(at::kBFloat16).to(at::kFloat);
    };
    x = rows({kLayers, kTokens, kEmbd});
    q = rows({kLayers, kTokens, kHeads, kDim});
    k = rows({kLayers, kTokens, kKvHeads, kDim});
    v = rows({kLayers, kTokens, kKvHeads, kDim});
  }
};

// Outputs [L, T, H, D] on the CPU, read in calls of at most `cut` tokens.
at::Tensor read(Policy& policy, const Stream& stream, int64_t cut, at::TensorOptions options) {
  at::Tensor out = at::empty({kLayers, kTokens, kHeads, kDim});
  for (int64_t done = 0, n = 0; done < kTokens; done += n) {
    n = policy.admit(std::min(cut, kTokens - done));
    policy.begin(n);
    for (int64_t l = 0; l < kLayers; ++l) {
      const auto part = [&](const at::Tensor& all) {
        return all[l]
            .narrow(0, done, n)
            .to(options.device(), c10::typeMetaToScalarType(options.dtype()))
            .contiguous();
      };
      out[l]
          .narrow(0, done, n)
          .copy_(
              policy.attend({l, part(stream.x), part(stream.q), part(stream.k), part(stream.v)}));
    }
    policy.end();
  }
  return out;
}

class CudaPolicyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "this machine has no GPU";
    at::manual_seed(3);
  }
  const at::TensorOptions gpu_ = at::TensorOptions(at::kCUDA).dtype(at::kBFloat16);
  const at::TensorOptions cpu_ = at::TensorOptions(at::kCPU).dtype(at::kFloat);

  // Rows of which all values agree with the CPU's, which computes in fp32.
  double share_of_equal_rows(const PolicyOptions& options, const AttentionShape& shape,
                             const retriever::Adapter& adapter, int64_t cut) {
    const Stream stream;
    EXPECT_TRUE(CudaPolicy::supports(options, shape, &adapter));
    const auto cpu = make_policy(options, shape, &adapter);
    CudaPolicy gpu(options, shape, &adapter, at::kCUDA);
    const at::Tensor want = read(*cpu, stream, 64, cpu_);
    const at::Tensor got = read(gpu, stream, cut, gpu_);
    EXPECT_NEAR(gpu.mean_retrieved(), cpu->mean_retrieved(), 0.3);
    const at::Tensor worst = (got - want).abs().amax({0, 2, 3});
    return (worst < 0.03).to(at::kFloat).mean().item<double>();
  }
};

TEST_F(CudaPolicyTest, ReadsWhatTheCpuReads) {
  for (const int64_t cut : {700, 130, 1}) {
    for (const char* name : {"full", "window", "dsrasq"})
      EXPECT_GT(share_of_equal_rows(options_of(name), shape_with(), adapter_with_indexers(), cut),
                0.97)
          << name << " in calls of " << cut;
    EXPECT_GT(
        share_of_equal_rows(options_of("dsrasq"), shape_with(40), adapter_with_indexers(), cut),
        0.97)
        << "with a sliding window";
  }
}

TEST_F(CudaPolicyTest, ThresholdsAndBudgetsChooseAsOnTheCpu) {
  retriever::Adapter adapter = adapter_with_indexers();
  for (auto& [layer, indexer] : adapter.indexers) {
    indexer.head_bias.fill_(4);
    indexer.local_bias.fill_(40);
    adapter.thresholds[layer] = std::log(0.02f);
    adapter.budgets[layer] = retriever::BudgetParameters::fresh(kEmbd);
    adapter.budgets[layer].weight = at::randn_like(adapter.budgets[layer].weight);
  }
  for (const char* rule : {"threshold", "budget"}) {
    PolicyOptions options = options_of("dsrasq");
    options.retrieve = rule;
    EXPECT_GT(share_of_equal_rows(options, shape_with(), adapter, 300), 0.95) << rule;
  }
}

TEST_F(CudaPolicyTest, SlotsGiveWhatTheCpuReads) {
  retriever::Adapter adapter = adapter_with_indexers();
  const int64_t width = kKvHeads * kDim;
  const auto values = [](int64_t n, double scale) {
    const at::Tensor t = (at::randn({n}) * scale).contiguous();
    const float* data = t.const_data_ptr<float>();
    return std::vector<float>(data, data + n);
  };
  adapter.slots[1] = {.n_slots = 8,
                      .n_kv_heads = kKvHeads,
                      .head_dim = kDim,
                      .u_k = values(width * 8, 0.1),
                      .u_v = values(width * 8, 0.1),
                      .beta = std::vector<float>(8, 0.9f),
                      .read_k = values(width * width, 0.1),
                      .read_v = values(width * width, 0.3),
                      .gate = std::vector<float>(kHeads, 0.8f)};
  for (const int64_t cut : {700, 33, 1})
    EXPECT_GT(share_of_equal_rows(options_of("dsrasq"), shape_with(), adapter, cut), 0.97);
}

TEST_F(CudaPolicyTest, KeepsTheSameMemoryHoweverLongTheText) {
  const AttentionShape shape = shape_with();
  const retriever::Adapter adapter = adapter_with_indexers();
  CudaPolicy policy(options_of("dsrasq"), shape, &adapter, at::kCUDA);
  const size_t before = policy.bytes();
  read(policy, Stream(), 700, gpu_);
  EXPECT_EQ(policy.bytes(), before);
}

}  // namespace
}  // namespace dsrasq::policy

// LibTorch 2.11 with CUDA may abort in its own global destructors, after the last test.
int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int result = RUN_ALL_TESTS();
  std::fflush(nullptr);
  std::_Exit(result);
}
