#include "dsrasq/eval/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
const char* const kModel = "tests/golden/models/text";
const char* const kText = "tests/golden/models/carol.txt";

StretchScore score(int64_t sample, const std::string& policy, double nll_of_a_quarter,
                   double far_nll) {
  StretchScore out{.sample = sample, .source = "book", .policy = policy};
  out.quarter_nll.fill(nll_of_a_quarter);
  out.quarter_tokens.fill(10);
  out.far_nll = far_nll;
  out.far_tokens = 5;
  out.seconds = 4;
  out.mean_retrieved = static_cast<double>(sample);
  out.cache_bytes = 100 + static_cast<uint64_t>(sample);
  return out;
}

TEST(SummarisePerplexity, IsTheExponentialOfTheMeanOverAllTokens) {
  const auto rows = summarise({score(0, "full", 20, 11), score(1, "full", 30, 12)});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].samples, 2);
  EXPECT_EQ(rows[0].tokens, 80);
  EXPECT_DOUBLE_EQ(rows[0].nll, 2.5);
  EXPECT_DOUBLE_EQ(rows[0].perplexity, std::exp(2.5));
  EXPECT_DOUBLE_EQ(rows[0].quarters[3], std::exp(2.5));
  EXPECT_DOUBLE_EQ(rows[0].far.value(), std::exp(2.3));
  EXPECT_DOUBLE_EQ(rows[0].mean_retrieved, 0.5);
  EXPECT_DOUBLE_EQ(rows[0].tokens_per_s, 10);
  EXPECT_EQ(rows[0].cache_bytes, 101u);
  EXPECT_NEAR(rows[0].interval.low, std::exp(2), 1e-12);
  EXPECT_NEAR(rows[0].interval.high, std::exp(3), 1e-12);
  EXPECT_FALSE(rows[0].change.has_value());
  EXPECT_FALSE(rows[0].cache_hit_rate.has_value());
}

TEST(SummarisePerplexity, HitRatesAndDivergencesAreMeansOverStretches) {
  std::vector<StretchScore> scores{score(0, "w", 20, 11), score(1, "w", 30, 12)};
  scores[0].kl = 40, scores[1].kl = 80;
  scores[0].cache_hit_rate = 0.25, scores[1].cache_hit_rate = 0.75;
  const auto rows = summarise(scores);
  EXPECT_DOUBLE_EQ(rows[0].cache_hit_rate.value(), 0.5);
  EXPECT_DOUBLE_EQ(rows[0].kl, 1.5);
  EXPECT_DOUBLE_EQ(rows[0].kl_interval.low, 1);
  EXPECT_DOUBLE_EQ(rows[0].kl_interval.high, 2);
}

TEST(SummarisePerplexity, ComparesStretchByStretch) {
  // One stretch is 0.1 nats a token worse, the other 0.2; a third was not scored with "full".
  const auto rows =
      summarise({score(0, "full", 20, 10), score(0, "w", 21, 10.5), score(1, "full", 30, 10),
                 score(1, "w", 32, 10.5), score(2, "w", 99, 10)});
  ASSERT_EQ(rows.size(), 2u);
  const Change& change = rows[1].change.value();
  EXPECT_NEAR(change.percent, 100 * (std::exp(0.15) - 1), 1e-9);
  EXPECT_NEAR(change.interval.low, 100 * (std::exp(0.1) - 1), 1e-9);
  EXPECT_NEAR(change.interval.high, 100 * (std::exp(0.2) - 1), 1e-9);
  EXPECT_NEAR(change.far_percent.value(), 100 * (std::exp(0.1) - 1), 1e-9);
  EXPECT_NEAR(change.far_interval.low, 100 * (std::exp(0.1) - 1), 1e-9);
}

class PerplexityRun : public FolderTest {
 protected:
  const session::Engine engine_{{.model = kModel, .adapter = "none"}};
};

TEST_F(PerplexityRun, ScoresTokensOneToTheLast) {
  const Stretch stretch = read_stretches({kText}, engine_.tokenizer(), 400, 1).front();
  const auto scores = score_stretch(engine_, stretch, 0, parse_policies("full", {}));
  ASSERT_EQ(scores.size(), 1u);
  EXPECT_EQ(scores[0].quarter_tokens, (std::array<int64_t, 4>{99, 100, 100, 100}));
  EXPECT_EQ(scores[0].far_tokens, 0);

  session::Session session(engine_, {.name = "full"});
  double first = 0;
  for (size_t i = 0; i < 99; ++i) {
    session.read(std::span(stretch.ids).subspan(i, 1));
    first -= session.next_logits().log_softmax(0)[stretch.ids[i + 1]].item<double>();
  }
  EXPECT_NEAR(scores[0].quarter_nll[0], first, 1e-3);
  EXPECT_GT(first / 99, 1);  // a random model knows nothing
}

TEST_F(PerplexityRun, ShardsMergedAreTheWholeRun) {
  PerplexityOptions options{.text = {kText}, .length = 150, .samples = 4};
  const policy::PolicyOptions base{.name = "window:window=32:sinks=2,full"};
  const auto without_times = [](Json result) {
    for (Json& row : result["rows"]) row.erase("tokens_per_s");
    for (Json& sample : result["samples"]) sample.erase("seconds");
    return result;
  };
  std::vector<std::string> lines;
  const Json whole = without_times(
      run_perplexity(engine_, base, options, [&](const std::string& l) { lines.push_back(l); }));
  EXPECT_EQ(lines.size(), 8u);
  EXPECT_EQ(whole["policy"], "window:window=32:sinks=2");
  EXPECT_EQ(whole["tokens"], 4 * 149);
  EXPECT_DOUBLE_EQ(whole["perplexity"].get<double>(), std::exp(whole["nll"].get<double>()));
  EXPECT_TRUE(whole["rows"][1].contains("change_percent"));
  EXPECT_FALSE(whole["rows"][0].contains("kl"));
  EXPECT_GT(whole["rows"][1]["kl"], 1e-4);

  std::vector<std::string> files;
  for (const char* shard : {"2/3", "0/3", "1/3"}) {
    options.shard = shard;
    files.push_back(write(std::string(1, shard[0]), run_perplexity(engine_, base, options).dump()));
  }
  EXPECT_EQ(without_times(merge_perplexity(files)), whole);
}

TEST_F(PerplexityRun, SaysHowMuchOfAQuerysTokensWereGatheredForTheLast) {
  PerplexityOptions options{.text = {kText}, .length = 150, .samples = 1};
  const Json result =
      run_perplexity(engine_, {.name = "recency,window", .window = 32, .top_k = 8}, options);
  // Of the 8 latest tokens one is new; the first queries that retrieve have none or fewer.
  EXPECT_NEAR(result["rows"][0]["cache_hit_rate"].get<double>(), 7.0 / 8, 0.05);
  EXPECT_FALSE(result["rows"][1].contains("cache_hit_rate"));
}

TEST_F(PerplexityRun, RefusesToMergeStretchesOfTwoLengths) {
  PerplexityOptions options{.text = {kText}, .length = 50, .samples = 2, .shard = "0/2"};
  const policy::PolicyOptions base{.name = "full"};
  const std::string a = write("a", run_perplexity(engine_, base, options).dump());
  options.length = 60, options.shard = "1/2";
  const std::string b = write("b", run_perplexity(engine_, base, options).dump());
  EXPECT_HAS(error_text([&] { merge_perplexity({a, b}); }), "stretches of 50 and of 60 tokens");
  EXPECT_HAS(error_text([&] { merge_perplexity({a, a}); }), "is there twice");
  const std::string c = write("c", R"({"samples": [{"sample": 0, "policy": "full"}]})");
  EXPECT_HAS(error_text([&] { merge_perplexity({c}); }), "'source' not found");
}

// tools/make_golden_models.py wrote what transformers gives each token of the text.
TEST(PerplexityOfARealModel, IsThatOfTransformers) {
  const char* const model = "models/SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(model)) GTEST_SKIP() << model << " is not here";
  const formats::SafetensorsFile golden("tests/golden/models/smollm2-135m.safetensors");
  const auto values = [&]<class T>(const char* name, T) {
    const formats::NamedTensor& stored = golden.require(name);
    std::vector<T> out(stored.bytes.size() / sizeof(T));
    std::memcpy(out.data(), stored.bytes.data(), stored.bytes.size());
    return out;
  };
  Stretch stretch{.source = "carol", .first = 0, .ids = values("ids", int32_t{})};
  stretch.ids.resize(300);
  double nll = 0;
  const std::vector<float> logprobs = values("next_logprobs", float{});
  for (size_t i = 0; i + 1 < stretch.ids.size(); ++i) nll -= logprobs[i];
  const session::Engine engine({.model = model, .adapter = "none"});
  const auto rows = summarise(score_stretch(engine, stretch, 0, parse_policies("full,window", {})));
  EXPECT_NEAR(rows[0].nll, nll / 299, 1e-5);
  EXPECT_NEAR(rows[1].nll, nll / 299, 1e-5);  // the window is longer than the text
}

}  // namespace
}  // namespace dsrasq::eval
