#include "dsrasq/policy/sparse_policy.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/int8_rows.h"
#include "dsrasq/policy/masked_policy.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kEmbd = 32, kHeads = 6, kKvHeads = 2, kDim = 16, kLayers = 2;

AttentionShape small_shape(int64_t sliding_window = 0) {
  std::vector<double> inv_freq;
  for (int64_t i = 0; i < kDim / 2; ++i)
    inv_freq.push_back(std::pow(1e4, -2.0 * static_cast<double>(i) / kDim));
  AttentionShape shape{.n_layers = kLayers,
                       .n_embd = kEmbd,
                       .n_heads = kHeads,
                       .n_kv_heads = kKvHeads,
                       .head_dim = kDim,
                       .context = 256,
                       .logit_softcap = 0,
                       .layers = {}};
  for (int64_t i = 0; i < kLayers; ++i)
    shape.layers.push_back({i == 0 ? sliding_window : 0, 0.25, ops::Rope(inv_freq)});
  return shape;
}

retriever::Adapter small_adapter() {
  retriever::Adapter adapter;
  adapter.n_embd = kEmbd;
  adapter.n_heads = 2;
  adapter.head_dim = 16;
  adapter.d_max = 100;
  for (int64_t i = 0; i < kLayers; ++i)
    adapter.indexers[i] = retriever::Adapter::random(kEmbd, 2, 16, 7 + static_cast<uint64_t>(i));
  return adapter;
}

PolicyOptions small_options(const std::string& name) {
  PolicyOptions options;
  options.name = name;
  options.window = 40;
  options.sinks = 3;
  options.top_k = 12;
  options.pool = 2048;
  options.block = 64;
  options.max_distance = 100;
  return options;
}

/// What the layers of a model would hand over for some tokens.
struct Stream {
  at::Tensor x, q, k, v;  // [L, T, ...]
  explicit Stream(int64_t n_tokens)
      : x(at::randn({kLayers, n_tokens, kEmbd})),
        q(at::randn({kLayers, n_tokens, kHeads, kDim})),
        k(at::randn({kLayers, n_tokens, kKvHeads, kDim})),
        v(at::randn({kLayers, n_tokens, kKvHeads, kDim})) {}
};

// Outputs [L, T, H, D] of tokens [first, first + n), read in calls of `cuts` tokens in turn.
at::Tensor run(Policy& policy, const Stream& stream, int64_t n, std::vector<int64_t> cuts) {
  const int64_t first = policy.position();
  at::Tensor out = at::empty({kLayers, n, kHeads, kDim});
  for (int64_t done = 0, turn = 0; done < n; ++turn) {
    const int64_t wanted = cuts[static_cast<size_t>(turn) % cuts.size()];
    const int64_t count = policy.admit(std::min(wanted, n - done));
    policy.begin(count);
    for (int64_t l = 0; l < kLayers; ++l) {
      const auto part = [&](const at::Tensor& all) {
        return all[l].narrow(0, first + done, count).contiguous();
      };
      out[l]
          .narrow(0, done, count)
          .copy_(
              policy.attend({l, part(stream.x), part(stream.q), part(stream.k), part(stream.v)}));
    }
    policy.end();
    done += count;
  }
  return out;
}

// Keys or values as the pool gives them back.
at::Tensor through_int8(const at::Tensor& rows) {
  const at::Tensor flat = rows.contiguous().view({-1, kDim});
  at::Tensor codes = at::empty({flat.size(0), kDim}, at::kChar), scale = at::empty({flat.size(0)});
  at::Tensor back = at::empty_like(flat);
  kernels::quantize_rows_ref(flat.const_data_ptr<float>(), flat.size(0), kDim,
                             codes.mutable_data_ptr<int8_t>(), scale.mutable_data_ptr<float>());
  kernels::dequantize_rows(codes.const_data_ptr<int8_t>(), scale.const_data_ptr<float>(),
                           flat.size(0), kDim, back.mutable_data_ptr<float>());
  return back.view(rows.sizes());
}

double rotated_dot(const float* q, const float* k, int64_t distance, const ops::Rope& rope) {
  double dot = 0;
  for (size_t d = 0; d < kDim / 2; ++d) {
    const double angle = static_cast<double>(distance) * rope.inv_freq()[d];
    const double c = std::cos(angle), s = std::sin(angle);
    const size_t e = d + kDim / 2;
    dot += (q[d] * c - q[e] * s) * k[d] + (q[e] * c + q[d] * s) * k[e];
  }
  return dot;
}

// Recency selection with plain loops: what query i of layer l reads.
at::Tensor reference(const PolicyOptions& options, const AttentionShape& shape,
                     const Stream& stream, int64_t l, int64_t i) {
  const at::Tensor k8 = through_int8(stream.k[l]), v8 = through_int8(stream.v[l]);
  std::vector<int64_t> near, far;
  for (int64_t j = 0; j <= i; ++j)
    (j < options.sinks || j > i - options.window ? near : far).push_back(j);
  if (static_cast<int64_t>(far.size()) > options.top_k)
    far.erase(far.begin(), far.end() - options.top_k);
  at::Tensor out = at::zeros({kHeads, kDim}, at::kDouble);
  for (int64_t h = 0; h < kHeads; ++h) {
    const int64_t g = h / (kHeads / kKvHeads);
    const at::Tensor q = stream.q[l][i][h].contiguous();
    double sum = 0;
    const auto add = [&](int64_t j, const at::Tensor& keys, const at::Tensor& values) {
      const at::Tensor key = keys[j][g].contiguous();
      const int64_t distance = std::min(i - j, options.max_distance);
      const double weight =
          std::exp(0.25 * rotated_dot(q.const_data_ptr<float>(), key.const_data_ptr<float>(),
                                      distance, shape.layers[static_cast<size_t>(l)].rope));
      out[h].add_(values[j][g].to(at::kDouble), weight);
      sum += weight;
    };
    for (const int64_t j : near) add(j, stream.k[l], stream.v[l]);
    for (const int64_t j : far) add(j, k8, v8);
    out[h].div_(sum);
  }
  return out;
}

class SlotModes : public testing::TestWithParam<memory::SlotMode> {};

// Slots with open gates, for the blocks of small_options.
memory::SlotParameters open_slots(memory::SlotMode mode) {
  const auto random = [](int64_t n) {
    const at::Tensor values = at::randn({n});
    return std::vector<float>(values.const_data_ptr<float>(), values.const_data_ptr<float>() + n);
  };
  constexpr int64_t kWidth = kKvHeads * kDim, kSlots = 4;
  const int64_t n_rows = mode == memory::SlotMode::kPosition ? 64 : kWidth;
  return {.mode = mode,
          .n_slots = kSlots,
          .n_kv_heads = kKvHeads,
          .head_dim = kDim,
          .u_k = random(n_rows * kSlots),
          .u_v = random(n_rows * kSlots),
          .beta = std::vector<float>(mode == memory::SlotMode::kRotate ? 0 : kSlots, 0.9f),
          .read_k = random(kKvHeads * kWidth * kDim),
          .read_v = random(kKvHeads * kWidth * kDim),
          .gate = std::vector<float>(kHeads, 0.5f)};
}

TEST(SparsePolicy, ReadsSinksWindowAndPickedTokensWithClampedDistances) {
  at::manual_seed(1);
  const AttentionShape shape = small_shape();
  const PolicyOptions options = small_options("recency");
  const Stream stream(300);
  SparsePolicy policy(options, shape, make_recency_selector(), nullptr);
  const at::Tensor out = run(policy, stream, 300, {64});
  for (const int64_t i : {0, 2, 3, 39, 40, 44, 63, 64, 127, 150, 255, 299})
    for (int64_t l = 0; l < kLayers; ++l) {
      const at::Tensor want = reference(options, shape, stream, l, i);
      const double error = (out[l][i].to(at::kDouble) - want).abs().max().item<double>();
      EXPECT_LT(error, 2e-5) << "query " << i << ", layer " << l;
    }
  EXPECT_GT(policy.mean_retrieved(), 8);
}

TEST(SparsePolicy, AnyCutsAndThreadsGiveTheSameBits) {
  const AttentionShape shape = small_shape(24);
  const retriever::Adapter adapter = small_adapter();
  at::manual_seed(2);
  const Stream stream(700);
  for (const char* retention : {"recency", "score", "question"}) {
    PolicyOptions options = small_options("dsrasq");
    options.pool = 128;  // pages leave
    options.retention = retention;
    const auto outputs = [&](int threads, const std::vector<int64_t>& cuts) {
      set_num_threads(threads);
      SparsePolicy policy(options, shape, make_index_selector(options, adapter), &adapter);
      policy.set_probing(true);
      const at::Tensor start = run(policy, stream, 10, cuts);
      policy.set_probing(false);
      return at::cat({start, run(policy, stream, 690, cuts)}, 1);
    };
    const at::Tensor want = outputs(1, {64});
    for (const auto& cuts : {std::vector<int64_t>{1}, {7, 50, 3}, {33}})
      EXPECT_EQ(std::memcmp(want.const_data_ptr<float>(), outputs(2, cuts).const_data_ptr<float>(),
                            want.nbytes()),
                0)
          << retention;
  }
}

TEST(SparsePolicy, MemoryIsAsPlannedAndDoesNotGrow) {
  const AttentionShape shape = small_shape();
  const retriever::Adapter adapter = small_adapter();
  PolicyOptions options = small_options("dsrasq");
  options.pool = 256;
  const auto policy = make_policy(options, shape, &adapter);
  const size_t planned = planned_bytes(options, shape, &adapter);
  EXPECT_EQ(policy->bytes(), planned);
  run(*policy, Stream(2000), 2000, {64});
  EXPECT_EQ(policy->bytes(), planned);
  EXPECT_EQ(pool_for_budget(planned, options, shape, &adapter), options.pool);
}

TEST(SparsePolicy, ARestoredPolicyGoesOnWithTheSameBits) {
  namespace fs = std::filesystem;
  const fs::path path =
      fs::temp_directory_path() / ("dsrasq_policy_" + std::to_string(::getpid()) + ".dsr");
  const AttentionShape shape = small_shape();
  const retriever::Adapter adapter = small_adapter();
  at::manual_seed(3);
  const Stream stream(600);
  for (const char* retention : {"recency", "score", "question"}) {
    PolicyOptions options = small_options("dsrasq");
    options.pool = 128;
    options.retention = retention;
    const auto original = make_policy(options, shape, &adapter);
    original->set_probing(true);
    run(*original, stream, 20, {64});
    original->set_probing(false);
    run(*original, stream, 333, {64});
    formats::ChunkFileWriter out(path, "test", 1);
    original->save(out);
    out.commit();
    const auto restored = make_policy(options, shape, &adapter);
    restored->load(formats::ChunkFile(path, "test", 1));
    EXPECT_EQ(restored->position(), 353);
    const at::Tensor a = run(*original, stream, 200, {64}), b = run(*restored, stream, 200, {9});
    EXPECT_EQ(std::memcmp(a.const_data_ptr<float>(), b.const_data_ptr<float>(), a.nbytes()), 0)
        << retention;
  }
  fs::remove(path);
}

// Folding happens at blocks, so cuts must not matter either.
TEST_P(SlotModes, ReadingDoesNotDependOnCutsOrOnBeingRestored) {
  const AttentionShape shape = small_shape();
  at::manual_seed(8);
  retriever::Adapter adapter = small_adapter();
  adapter.slots[1] = open_slots(GetParam());
  const Stream stream(500);
  PolicyOptions options = small_options("dsrasq");
  options.pool = 128;  // two blocks, which never leave
  const auto outputs = [&](const PolicyOptions& o, const std::vector<int64_t>& cuts) {
    return run(*make_policy(o, shape, &adapter), stream, 500, cuts);
  };
  const at::Tensor want = outputs(options, {64});
  EXPECT_EQ(std::memcmp(want.const_data_ptr<float>(),
                        outputs(options, {11, 2}).const_data_ptr<float>(), want.nbytes()),
            0);
  PolicyOptions silent = options;
  silent.slots = 0;
  const at::Tensor without = outputs(silent, {64});
  EXPECT_TRUE(at::equal(want[0], without[0])) << "layer 0 has no slots";
  EXPECT_TRUE(at::equal(want[1].narrow(0, 0, 192), without[1].narrow(0, 0, 192)))
      << "nothing had left the pool";
  EXPECT_FALSE(at::equal(want[1].narrow(0, 192, 1), without[1].narrow(0, 192, 1)));
  EXPECT_EQ(make_policy(options, shape, &adapter)->bytes(),
            planned_bytes(options, shape, &adapter));

  const auto path = std::filesystem::temp_directory_path() /
                    ("dsrasq_slots_" + std::to_string(::getpid()) + ".dsr");
  const auto original = make_policy(options, shape, &adapter);
  run(*original, stream, 230, {64});
  formats::ChunkFileWriter out(path, "test", 1);
  original->save(out);
  out.commit();
  const auto restored = make_policy(options, shape, &adapter);
  restored->load(formats::ChunkFile(path, "test", 1));
  EXPECT_TRUE(at::equal(run(*restored, stream, 270, {64}), want.narrow(1, 230, 270)));
  std::filesystem::remove(path);
}

TEST_P(SlotModes, BlocksOfAnotherLengthAreRefusedWhereTheirPlacesCount) {
  retriever::Adapter adapter = small_adapter();
  adapter.slots[1] = open_slots(GetParam());
  PolicyOptions options = small_options("dsrasq");
  options.block = 32;
  if (GetParam() != memory::SlotMode::kPosition) {
    EXPECT_NO_THROW(make_policy(options, small_shape(), &adapter));
    return;
  }
  try {
    make_policy(options, small_shape(), &adapter);
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find("layer 1 take in blocks of 64 tokens"), std::string::npos)
        << e.what();
  }
}

TEST(SparsePolicy, RecordingNamesThePositionsThatWereRead) {
  const AttentionShape shape = small_shape();
  at::manual_seed(4);
  const Stream stream(200);
  SparsePolicy policy(small_options("recency"), shape, make_recency_selector(), nullptr);
  run(policy, stream, 199, {64});
  policy.start_recording();
  run(policy, stream, 1, {1});
  const auto tokens = policy.take_recording();
  ASSERT_EQ(tokens.size(), kLayers * 12u);
  for (size_t i = 0; i < tokens.size(); ++i) {
    EXPECT_EQ(tokens[i].layer, static_cast<int64_t>(i / 12));
    EXPECT_EQ(tokens[i].position, static_cast<int64_t>(199 - 40 - 11 + i % 12));
    EXPECT_GT(tokens[i].weight, 0);
  }
}

// What a pool of `pool` tokens holds for a question of 20 tokens, after 2,000 in all.
std::vector<RetrievedToken> kept_for_a_question(const retriever::Adapter& adapter,
                                                const Stream& stream, int64_t pool) {
  const AttentionShape shape = small_shape();
  PolicyOptions options = small_options("dsrasq");
  options.retention = "question";
  options.pool = pool;
  options.top_k = 1024;  // reads all that is stored
  const auto policy = make_policy(options, shape, &adapter);
  policy->set_probing(true);
  run(*policy, stream, 20, {64});
  policy->set_probing(false);
  run(*policy, stream, 1979, {64});
  policy->start_recording();
  run(*policy, stream, 1, {1});
  return policy->take_recording();
}

TEST(SparsePolicy, AQuestionKeepsOldPagesButNotItsOwn) {
  at::manual_seed(7);
  const auto tokens = kept_for_a_question(small_adapter(), Stream(2000), 768);
  ASSERT_GE(tokens.size(), kLayers * 768u);
  int64_t n_old = 0;
  for (const auto& token : tokens) {
    EXPECT_GE(token.position, 19) << "the page that the question filled";
    n_old += token.position < 1000;
  }
  EXPECT_GT(n_old, kLayers * 64) << "by recency alone nothing before 1,190 would be left";
}

// How many of the old tokens that the second layer keeps the first one keeps too, as a share.
double shared_share(const retriever::Adapter& adapter, const Stream& stream) {
  std::set<int64_t> old[kLayers];
  for (const auto& token : kept_for_a_question(adapter, stream, 512))
    if (token.position < 1700) old[token.layer].insert(token.position);
  int64_t n_shared = 0;
  for (const int64_t position : old[1]) n_shared += old[0].contains(position) ? 1 : 0;
  return static_cast<double>(n_shared) / static_cast<double>(old[1].size());
}

TEST(SparsePolicy, WhatALayerThatRecallsKeepsForAQuestionAllLayersKeep) {
  retriever::Adapter adapter = small_adapter();
  at::manual_seed(10);
  const Stream stream(2000);
  const double alone = shared_share(adapter, stream);
  adapter.recall[0] = 0.5f;
  EXPECT_GT(shared_share(adapter, stream), std::max(0.5, alone + 0.2));
}

TEST(SparsePolicy, TheOracleKeepsMoreAttentionThanRecencyAndRandom) {
  const AttentionShape shape = small_shape();
  at::manual_seed(5);
  Stream stream(500);
  stream.q = stream.q * 3;
  const auto full = make_policy(small_options("full"), shape, nullptr);
  const at::Tensor want = run(*full, stream, 90, {64});  // all distances below the clamp
  const auto error = [&](const char* name) {
    const auto policy = make_policy(small_options(name), shape, nullptr);
    return (run(*policy, stream, 90, {64}) - want).abs().mean().item<double>();
  };
  EXPECT_LT(error("oracle"), 0.7 * error("random"));
  EXPECT_LT(error("oracle"), 0.7 * error("recency"));
}

TEST(SparsePolicy, AgreesWithTheMaskedPolicyThatKeepsEverything) {
  const AttentionShape shape = small_shape(24);
  retriever::Adapter adapter = small_adapter();
  // Positive head weights: with others the best score is often 0, which many tokens share.
  for (auto& [layer, indexer] : adapter.indexers) indexer.head_bias.fill_(9);
  at::manual_seed(6);
  const Stream stream(400);
  for (const char* name : {"full", "window", "recency", "dsrasq", "oracle"}) {
    const PolicyOptions options = small_options(name);
    const auto policy = make_policy(options, shape, &adapter);
    MaskedPolicy masked(options, shape, &adapter, at::kCPU);
    const at::Tensor difference =
        (run(*policy, stream, 400, {64}) - run(masked, stream, 400, {50})).abs().amax({0, 2, 3});
    // A tie or a rounding of a score may change a pick here and there.
    EXPECT_GT((difference < 1e-4).sum().item<int64_t>(), 396) << name;
    EXPECT_NEAR(policy->mean_retrieved(), masked.mean_retrieved(), 1e-9) << name;
  }
}

TEST_P(SlotModes, GiveWhatTheMaskedPolicyReads) {
  const AttentionShape shape = small_shape();
  retriever::Adapter adapter = small_adapter();
  for (auto& [layer, indexer] : adapter.indexers) indexer.head_bias.fill_(9);
  at::manual_seed(6);
  const Stream stream(400);
  adapter.slots[1] = open_slots(GetParam());
  PolicyOptions options = small_options("dsrasq");
  options.pool = 128;  // two blocks, which never leave
  const at::Tensor want = run(*make_policy(options, shape, &adapter), stream, 400, {64});
  const auto n_equal = [&] {
    MaskedPolicy masked(options, shape, &adapter, at::kCPU);
    const at::Tensor difference = (run(masked, stream, 400, {50}) - want).abs().amax({0, 2, 3});
    return (difference < 1e-4).sum().item<int64_t>();
  };
  EXPECT_GT(n_equal(), 396) << "a tie or a rounding of a score may change a pick";
  options.slots = 0;
  EXPECT_LE(n_equal(), 192) << "until tokens have left the pool";
}

TEST(SparsePolicy, ThresholdsAndBudgetsPickWhatTheMaskedPolicyPicks) {
  const AttentionShape shape = small_shape();
  retriever::Adapter adapter = small_adapter();
  at::manual_seed(9);
  for (auto& [layer, indexer] : adapter.indexers) {
    indexer.head_bias.fill_(4);  // few scores of 0, which many tokens would share
    indexer.local_bias.fill_(40);
    adapter.thresholds[layer] = std::log(0.02f);
    adapter.budgets[layer] = retriever::BudgetParameters::fresh(kEmbd);
    adapter.budgets[layer].weight = at::randn_like(adapter.budgets[layer].weight);
  }
  const Stream stream(400);
  for (const char* rule : {"threshold", "budget"}) {
    PolicyOptions options = small_options("dsrasq");
    options.retrieve = rule;
    const auto policy = make_policy(options, shape, &adapter);
    MaskedPolicy masked(options, shape, &adapter, at::kCPU);
    const at::Tensor out = run(*policy, stream, 400, {64});
    const at::Tensor difference = (out - run(masked, stream, 400, {50})).abs().amax({0, 2, 3});
    EXPECT_GT((difference < 1e-4).sum().item<int64_t>(), 390) << rule;
    EXPECT_NEAR(policy->mean_retrieved(), masked.mean_retrieved(), 0.02) << rule;
    EXPECT_GT(policy->mean_retrieved(), 0.3) << rule;
    EXPECT_LT(policy->mean_retrieved(), 10) << rule << ": something is left out";
    const at::Tensor cut = run(*make_policy(options, shape, &adapter), stream, 400, {7, 1, 30});
    EXPECT_EQ(std::memcmp(out.const_data_ptr<float>(), cut.const_data_ptr<float>(), out.nbytes()),
              0)
        << rule;
  }
}

TEST(SparsePolicy, OptionsOutOfRangeAreNamed) {
  PolicyOptions options = small_options("dsrasq");
  options.window = 0;
  try {
    check_options(options);
    FAIL() << "no throw";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("--window is 0"), std::string::npos) << e.what();
  }
  options = small_options("magic");
  EXPECT_THROW(check_options(options), Error);
  const auto refusal = [](const std::string& retrieve, double min_share) -> std::string {
    PolicyOptions options = small_options("dsrasq");
    options.retrieve = retrieve;
    options.min_share = min_share;
    try {
      check_options(options);
    } catch (const Error& e) {
      return e.what();
    }
    return "no throw";
  };
  EXPECT_NE(refusal("some", 0).find("--retrieve is 'some', want auto"), std::string::npos);
  EXPECT_NE(refusal("auto", 1).find("--min-share is 1, want"), std::string::npos);
  EXPECT_NE(refusal("auto", std::nan("")).find("--min-share is nan"), std::string::npos);
  EXPECT_NE(refusal("topk", 0.1).find("--min-share is a threshold"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(SparsePolicy, SlotModes,
                         testing::Values(memory::SlotMode::kContent, memory::SlotMode::kPosition,
                                         memory::SlotMode::kRotate),
                         [](const auto& info) { return memory::slot_mode_name(info.param); });

}  // namespace
}  // namespace dsrasq::policy
