#include "dsrasq/policy/baselines.h"

#include <unistd.h>

#include <filesystem>

#include "dsrasq/core/error.h"
#include "dsrasq/policy/baseline_test_bench.h"

namespace dsrasq::policy {
namespace {

constexpr int64_t kTokens = 300;

PolicyOptions test_options(const std::string& name, int64_t cache) {
  PolicyOptions options;
  options.name = name;
  options.cache = cache;
  options.observed = 8;
  return options;
}

std::unique_ptr<Policy> make(const std::string& name, int64_t cache, const AttentionShape& shape) {
  RetrievalHeads heads(kTestLayers, std::vector<bool>(static_cast<size_t>(shape.n_kv_heads)));
  heads[2][0] = true;
  return make_policy(test_options(name, cache), shape, nullptr, at::kCPU, &heads);
}

std::string message_of(const std::function<void()>& call, ErrorCode code) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no throw";
  return "";
}

// Positions numbered in the cache, as the paper has it: the k-th token held is at k.
TEST(Baselines, StreamingLlmNumbersPositionsInTheCache) {
  at::manual_seed(21);
  constexpr int64_t kCache = 30, kSinks = 4;
  for (const TestHeads& heads : kTestHeads) {
    const AttentionShape shape = test_shape(heads);
    const TestStream stream(heads, kTokens);
    const auto policy = make("streaming-llm", kCache, shape);
    const at::Tensor out = read_on(*policy, stream, kTokens, {20, 1, 3});
    for (int64_t l = 0; l < kTestLayers; ++l) {
      const LoopLayer loop{shape, stream, l};
      std::vector<int64_t> held;
      for (int64_t i = 0; i < kTokens; ++i) {
        held.push_back(i);
        const auto last = static_cast<int64_t>(held.size()) - 1;
        for (int64_t h = 0; h < heads.n_heads; ++h) {
          std::vector<double> logits;
          for (int64_t n = 0; n <= last; ++n)
            logits.push_back(loop.logit(h, i, held[static_cast<size_t>(n)], last, n));
          expect_read(out, l, i, h, loop.sum(h, LoopLayer::softmax(logits), held));
        }
        if (last == kCache) held.erase(held.begin() + kSinks);
      }
      for (const auto& got : layered(*policy).held(l)) EXPECT_EQ(got, held);
    }
  }
}

TEST(Baselines, CutsDoNotMatter) {
  at::manual_seed(22);
  for (const TestHeads& heads : kTestHeads)
    for (const std::string& name : baseline_names()) {
      const AttentionShape shape = test_shape(heads, 24);
      const TestStream stream(heads, kTokens);
      const auto whole = make(name, 64, shape);
      const at::Tensor before = read_on(*whole, stream, 250, {512});
      whole->prompt_ended();
      const at::Tensor after = read_on(*whole, stream, 50, {512});
      for (const auto& cuts : {std::vector<int64_t>{1}, {7, 50, 3}}) {
        const auto cut = make(name, 64, shape);
        EXPECT_LT(largest_difference(before, read_on(*cut, stream, 250, cuts)), 2e-5) << name;
        cut->prompt_ended();
        EXPECT_LT(largest_difference(after, read_on(*cut, stream, 50, cuts)), 2e-5) << name;
        for (int64_t l = 0; l < kTestLayers; ++l)
          EXPECT_EQ(layered(*whole).held(l), layered(*cut).held(l)) << name << ", layer " << l;
        EXPECT_EQ(whole->bytes(), cut->bytes()) << name;
      }
    }
}

TEST(Baselines, WithRoomForEverythingEachIsFullAttention) {
  at::manual_seed(23);
  for (const TestHeads& heads : kTestHeads)
    for (const std::string& name : baseline_names()) {
      const AttentionShape shape = test_shape(heads, 0, 8.0);
      const TestStream stream(heads, kTokens);
      const auto full = make("full", 64, shape), policy = make(name, 512, shape);
      EXPECT_LT(largest_difference(read_on(*full, stream, 280), read_on(*policy, stream, 280)),
                2e-5)
          << name;
      policy->prompt_ended();
      EXPECT_LT(largest_difference(read_on(*full, stream, 20), read_on(*policy, stream, 20)), 2e-5)
          << name;
    }
}

TEST(Baselines, SlidingWindowsOfTheModelStayAsTheyAre) {
  at::manual_seed(24);
  const TestHeads heads = kTestHeads[0];
  const AttentionShape shape = test_shape(heads, 24);
  const TestStream stream(heads, kTokens);
  const auto full = make("full", 64, shape);
  const at::Tensor want = read_on(*full, stream, kTokens);
  for (const std::string& name : baseline_names()) {
    const auto policy = make(name, 10, shape);  // less than the window
    const at::Tensor out = read_on(*policy, stream, kTokens, {90});
    EXPECT_LT(largest_difference(want[0], out[0]), 2e-5) << name;
    if (name == "snapkv" || name == "pyramidkv") continue;  // they wait for the prompt's end
    EXPECT_GT(largest_difference(want[2], out[2]), 0.1) << name;
  }
}

TEST(Baselines, MemoryIsFixedOrGrowsAsPlanned) {
  const TestHeads heads = kTestHeads[1];
  const AttentionShape shape = test_shape(heads, 24);
  const TestStream stream(heads, 2048);
  for (const std::string& name : baseline_names()) {
    const PolicyOptions options = test_options(name, 200);
    const size_t planned = planned_bytes(options, shape, nullptr);
    const auto policy = make(name, 200, shape);
    const size_t at_first = policy->bytes();
    read_on(*policy, stream, 1024, {512});
    const size_t at_1024 = policy->bytes();
    read_on(*policy, stream, 1024, {512});
    if (!memory_grows(options)) {
      EXPECT_EQ(at_first, planned) << name;
      EXPECT_EQ(policy->bytes(), planned) << name;
      continue;
    }
    const double growth = static_cast<double>(policy->bytes() - at_1024);
    const double tolerance = name == "razor" ? 0.21 : 0;
    // Razor's plan is for the most retrieval heads; here there is one, of two at most.
    EXPECT_NEAR(growth / static_cast<double>(planned), name == "razor" ? 0.8 : 1, tolerance)
        << name;
    const size_t whole = policy->bytes();
    policy->prompt_ended();
    if (name == "snapkv" || name == "pyramidkv")
      EXPECT_LT(policy->bytes(), whole / 7) << "200 of 2,048 tokens stay";
    else
      EXPECT_EQ(policy->bytes(), whole) << name;
  }
}

TEST(Baselines, AreNamedWhereANameIsUnknown) {
  EXPECT_EQ(policy_names().size(), 15u);
  PolicyOptions options;
  options.name = "magic";
  const std::string message =
      message_of([&] { check_options(options); }, ErrorCode::kInvalidArgument);
  for (const std::string& name : policy_names())
    EXPECT_NE(message.find(name), std::string::npos) << message;
  for (const std::string& name : baseline_names()) EXPECT_TRUE(is_baseline(name));
  EXPECT_FALSE(is_baseline("window"));
}

TEST(Baselines, ACacheThatIsTooSmallIsRefused) {
  const auto refused = [](const char* name, int64_t cache) {
    return message_of([&] { check_options(test_options(name, cache)); },
                      ErrorCode::kInvalidArgument);
  };
  EXPECT_NE(refused("streaming-llm", 4)
                .find("--cache is 4, streaming-llm wants more than the 4 of "
                      "--sinks"),
            std::string::npos);
  EXPECT_NE(refused("snapkv", 8).find("--observed"), std::string::npos);
  EXPECT_NE(refused("h2o", 0).find("--cache is 0"), std::string::npos);
  check_options(test_options("h2o", 1));
}

TEST(Baselines, SessionsAreNotSaved) {
  namespace fs = std::filesystem;
  const AttentionShape shape = test_shape(kTestHeads[0]);
  const fs::path path =
      fs::temp_directory_path() / ("dsrasq_baseline_" + std::to_string(::getpid()) + ".dsr");
  formats::ChunkFileWriter out(path, "test", 1);
  const auto policy = make("h2o", 16, shape);
  EXPECT_NE(message_of([&] { policy->save(out); }, ErrorCode::kUnavailable)
                .find("a session of h2o cannot be saved"),
            std::string::npos);
}

}  // namespace
}  // namespace dsrasq::policy
