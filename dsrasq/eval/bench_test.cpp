#include "dsrasq/eval/bench.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

class Bench : public testing::Test {
 protected:
  const session::Engine engine_{{.model = "tests/golden/models/text", .adapter = "none"}};
  const std::vector<NamedPolicy> policies_ =
      parse_policies("full,window", {.window = 64, .block = 64});
  BenchOptions options_{
      .lengths = {1024, 4096}, .repeats = 3, .decode_tokens = 4, .warmup_tokens = 64};
};

TEST_F(Bench, PrefillHasARowForEachLengthAndPolicy) {
  options_.segments = 512;
  const BenchReport report = bench_prefill(engine_, policies_, options_);
  ASSERT_EQ(report.rows.size(), 4u);
  for (const BenchRow& row : report.rows) {
    EXPECT_GT(row.slowest, 0);
    EXPECT_LE(row.slowest, row.tokens_per_s);
    EXPECT_LE(row.tokens_per_s, row.fastest);
    EXPECT_GT(row.peak_bytes, row.cache_bytes);
    ASSERT_EQ(static_cast<int64_t>(row.segments.size()), row.length / 512);
    EXPECT_EQ(row.segments.back().first + row.segments.back().tokens, row.length);
  }
  EXPECT_EQ(report.rows[1].length, 4096);
  EXPECT_EQ(report.rows[2].policy, "window");
  // A window holds as much after 4,096 tokens as after 1,024, everything read does not.
  EXPECT_LT(report.rows[0].cache_bytes, report.rows[1].cache_bytes);
  EXPECT_EQ(report.rows[2].cache_bytes, report.rows[3].cache_bytes);
  ASSERT_EQ(report.exponents.size(), 2u);
  EXPECT_GT(report.exponents[0].second, 0.3);
}

TEST_F(Bench, DecodeIsMeasuredAtEachLength) {
  const auto json = to_json(bench_decode(engine_, policies_, options_));
  ASSERT_EQ(json["rows"].size(), 4u);
  EXPECT_EQ(json["rows"][3]["length"], 4096);
  EXPECT_GT(json["rows"][3]["tokens_per_s"], 0);
  EXPECT_EQ(json["exponent"], json["exponents"]["full"]);
}

TEST_F(Bench, DecodeTellsEachMeasurementAndItsSeconds) {
  std::vector<std::string> lines;
  const auto report = bench_decode(engine_, policies_, options_,
                                   [&](const std::string& line) { lines.push_back(line); });
  const auto n = std::count_if(lines.begin(), lines.end(),
                               [](const auto& line) { return line.starts_with("measured "); });
  EXPECT_EQ(n, 2 * 2 * 3);  // policies, lengths, repeats
  EXPECT_HAS(lines.front(), "measured full behind 1024 tokens: ");
  for (const BenchRow& row : report.rows) {
    ASSERT_EQ(row.seconds.size(), 3u);
    EXPECT_DOUBLE_EQ(row.fastest, 4 / *std::min_element(row.seconds.begin(), row.seconds.end()));
  }
}

TEST_F(Bench, RestsBeforeEachMeasurement) {
  options_ = {.lengths = {64}, .repeats = 2, .decode_tokens = 1, .warmup_tokens = 0, .delay = 1};
  const auto start = std::chrono::steady_clock::now();
  const auto report = bench_decode(engine_, {policies_.front()}, options_);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  for (const double seconds : report.rows.front().seconds) EXPECT_LT(seconds, 1);
}

TEST_F(Bench, ScalingCountsBesideTheTime) {
  options_.lengths = {128, 256, 512, 1024};
  options_.repeats = 1;
  const auto json = to_json(bench_scaling(engine_, policies_, options_));
  EXPECT_EQ(json["what"], "scaling");
  ASSERT_EQ(json["rows"].size(), 8u);
  for (const auto& row : json["rows"]) EXPECT_GT(row["operations"], 0);
  ASSERT_EQ(json["growth"].size(), 6u);
  const auto& seconds = json["growth"][0];
  EXPECT_EQ(seconds["of"], "seconds");
  EXPECT_LT(seconds["low"], seconds["exponent"]);
  EXPECT_LT(seconds["exponent"], seconds["high"]);
  // Full attention's bytes are a triangle, a window's a straight line after its beginning.
  EXPECT_EQ(json["growth"][2]["of"], "cache_bytes_read");
  EXPECT_NEAR(json["growth"][2]["exponent"], 2, 0.01);
  EXPECT_EQ(json["growth"][5]["policy"], "window");
  EXPECT_NEAR(json["growth"][5]["exponent"], 1, 0.2);
}

TEST_F(Bench, PoliciesWithoutARuleHaveNoCounts) {
  options_.lengths = {64, 128};
  options_.repeats = 1;
  const auto report = bench_scaling(engine_, parse_policies("h2o", {.cache = 64}), options_);
  EXPECT_FALSE(report.rows.front().work);
  ASSERT_EQ(report.growth.size(), 1u);
  EXPECT_TRUE(std::isnan(report.growth[0].interval.low));  // two lengths
  EXPECT_FALSE(to_json(report)["rows"][0].contains("operations"));
}

TEST_F(Bench, OneLengthHasNoExponent) {
  options_.lengths = {128};
  const BenchReport report = bench_prefill(engine_, policies_, options_);
  EXPECT_TRUE(std::isnan(report.exponents[0].second));
  EXPECT_TRUE(to_json(report)["exponent"].is_null());
}

TEST_F(Bench, NamesTheOptionThatIsOutOfRange) {
  options_.lengths = {100, 0};
  EXPECT_HAS(
      error_text([&] { bench_prefill(engine_, policies_, options_); }, ErrorCode::kInvalidArgument),
      "lengths has 0, want 1 or more");
  options_.lengths = {100};
  options_.repeats = 0;
  EXPECT_HAS(
      error_text([&] { bench_decode(engine_, policies_, options_); }, ErrorCode::kInvalidArgument),
      "repeats is 0");
  options_.repeats = 1;
  options_.delay = -1;
  EXPECT_HAS(
      error_text([&] { bench_decode(engine_, policies_, options_); }, ErrorCode::kInvalidArgument),
      "delay is -1, want 0 or more");
}

}  // namespace
}  // namespace dsrasq::eval
