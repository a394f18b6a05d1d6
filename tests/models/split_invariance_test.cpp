// What a model computes depends on the tokens and their positions alone: the same bits, however a
// text is cut into calls, for every policy.

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "dsrasq/core/parallel.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/policy/factory.h"
#include "dsrasq/session/session.h"
#include "tests/models/read_model.h"

namespace dsrasq {
namespace {

namespace fs = std::filesystem;

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type() &&
         std::memcmp(a.const_data_ptr(), b.const_data_ptr(), a.nbytes()) == 0;
}

at::Tensor random_ids(int64_t n, int64_t vocab, uint64_t seed) {
  std::mt19937_64 random(seed);
  at::Tensor ids = at::empty({n}, at::kLong);
  for (int64_t i = 0; i < n; ++i)
    ids.mutable_data_ptr<int64_t>()[i] =
        static_cast<int64_t>(random() % static_cast<uint64_t>(vocab));
  return ids;
}

std::vector<int64_t> random_cuts(uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> cuts;
  for (int i = 0; i < 50; ++i) cuts.push_back(1 + static_cast<int64_t>(random() % 200));
  return cuts;
}

retriever::Adapter random_adapter(const model::Transformer& model) {
  retriever::Adapter adapter{.base_fingerprint = "0123456789abcdef",
                             .base_name = "tiny",
                             .n_embd = model.config().n_embd,
                             .n_heads = 4,
                             .head_dim = 32,
                             .d_max = 600,
                             .indexers = {},
                             .record = "{}"};
  for (int64_t layer = 0; layer < model.config().n_layers; ++layer)
    adapter.indexers[layer] =
        retriever::Adapter::random(adapter.n_embd, 4, 32, static_cast<uint64_t>(layer));
  return adapter;
}

/// What a reading leaves behind: the states, and what the policy says that it retrieved.
struct Reading {
  at::Tensor states;
  std::vector<policy::RetrievedToken> retrieved;
  double mean_retrieved = 0;
  int64_t position = 0;
};

Reading read(const model::Transformer& model, const policy::PolicyOptions& options,
             const retriever::Adapter* adapter, const at::Tensor& ids,
             const std::vector<int64_t>& cuts) {
  const auto policy = policy::make_policy(options, model.shape(), adapter);
  policy->start_recording();
  Reading reading;
  reading.states = states_in_cuts(model, *policy, ids, cuts);
  reading.retrieved = policy->take_recording();
  reading.mean_retrieved = policy->mean_retrieved();
  reading.position = policy->position();
  return reading;
}

void expect_same(const Reading& a, const Reading& b) {
  EXPECT_TRUE(same_bits(a.states, b.states))
      << "largest difference " << (a.states - b.states).abs().max().item<double>();
  EXPECT_EQ(a.mean_retrieved, b.mean_retrieved);
  EXPECT_EQ(a.position, b.position);
  ASSERT_EQ(a.retrieved.size(), b.retrieved.size());
  for (size_t i = 0; i < a.retrieved.size(); ++i) {
    EXPECT_EQ(a.retrieved[i].layer, b.retrieved[i].layer);
    EXPECT_EQ(a.retrieved[i].position, b.retrieved[i].position);
    // Weights are added up call by call, so their last bits differ.
    EXPECT_NEAR(a.retrieved[i].weight, b.retrieved[i].weight, 1e-4 * a.retrieved[i].weight);
  }
}

struct Case {
  const char* model;
  const char* policy;
  const char* retention;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.model << ", " << c.policy << ", " << c.retention;
  }
};

class SplitInvariance : public testing::TestWithParam<Case> {};

TEST_P(SplitInvariance, TinyModelGivesTheSameBitsForAnyCuts) {
  const model::Transformer model =
      load_model(std::string("tests/golden/models/") + GetParam().model);
  const retriever::Adapter adapter = random_adapter(model);
  // The pool is smaller than the text, so that pages leave it.
  const policy::PolicyOptions options{.name = GetParam().policy,
                                      .window = 100,
                                      .sinks = 4,
                                      .top_k = 24,
                                      .pool = 512,
                                      .retention = GetParam().retention,
                                      .block = 128,
                                      .max_distance = 600};
  const bool is_slow = options.name == "oracle";
  const at::Tensor ids = random_ids(is_slow ? 200 : 1500, model.config().vocab_size, 5);
  const Reading blocks = read(model, options, &adapter, ids, {512});
  EXPECT_EQ(blocks.position, ids.size(0));
  if (options.name != "full" && options.name != "window") {
    EXPECT_GT(blocks.mean_retrieved, 5);
    EXPECT_FALSE(blocks.retrieved.empty());
  }
  expect_same(blocks, read(model, options, &adapter, ids, {1}));
  expect_same(blocks, read(model, options, &adapter, ids, random_cuts(1)));
  expect_same(blocks, read(model, options, &adapter, ids, random_cuts(2)));
}

TEST_P(SplitInvariance, TinyModelGivesTheSameBitsForAnyNumberOfThreads) {
  const model::Transformer model =
      load_model(std::string("tests/golden/models/") + GetParam().model);
  const retriever::Adapter adapter = random_adapter(model);
  const policy::PolicyOptions options{.name = GetParam().policy,
                                      .window = 64,
                                      .top_k = 24,
                                      .pool = 256,
                                      .retention = GetParam().retention,
                                      .block = 64};
  const at::Tensor ids = random_ids(600, model.config().vocab_size, 6);
  const int n_threads = num_threads();
  set_num_threads(1);
  const Reading one = read(model, options, &adapter, ids, {512});
  set_num_threads(3);
  expect_same(one, read(model, options, &adapter, ids, {512}));
  set_num_threads(n_threads);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, SplitInvariance,
    testing::Values(Case{"llama", "full", "recency"}, Case{"llama", "window", "recency"},
                    Case{"llama", "dsrasq", "recency"}, Case{"llama", "dsrasq", "score"},
                    Case{"llama", "dsrasq", "question"}, Case{"llama", "random", "recency"},
                    Case{"llama", "recency", "recency"}, Case{"llama", "oracle", "recency"},
                    Case{"gemma3", "full", "recency"}, Case{"gemma3", "dsrasq", "recency"},
                    Case{"gemma2", "full", "recency"}, Case{"gemma2", "window", "recency"},
                    Case{"mistral", "full", "recency"}, Case{"yarn", "dsrasq", "recency"}),
    [](const auto& info) {
      return std::string(info.param.model) + "_" + info.param.policy + "_" + info.param.retention;
    });

class RealSplitInvariance : public testing::TestWithParam<const char*> {};

TEST_P(RealSplitInvariance, SmolLm2GivesTheSameBitsForAnyCuts) {
  const char* const file = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!fs::exists(file)) GTEST_SKIP() << file << " is not here";
  const model::Transformer model = load_model(file);
  const retriever::Adapter adapter = random_adapter(model);
  const formats::SafetensorsFile golden("tests/golden/models/smollm2-135m.safetensors");
  const formats::NamedTensor& stored = golden.require("ids");
  at::Tensor ids = at::empty(stored.shape, at::kInt);
  std::memcpy(ids.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  ids = ids.to(at::kLong).narrow(0, 0, 320);
  const policy::PolicyOptions options{
      .name = GetParam(), .window = 64, .top_k = 32, .pool = 256, .block = 64};
  const Reading blocks = read(model, options, &adapter, ids, {512});
  expect_same(blocks, read(model, options, &adapter, ids, {3, 61, 1, 100}));
  // Token by token over the last part only, where the pool is in use: it is slow.
  expect_same(blocks, read(model, options, &adapter, ids, {260, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
}

INSTANTIATE_TEST_SUITE_P(Policies, RealSplitInvariance, testing::Values("full", "dsrasq"));

}  // namespace
}  // namespace dsrasq
