#include "dsrasq/train/stretch_sampler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <numeric>
#include <map>
#include <set>
#include <string>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

class StretchSamplerTest : public testing::Test {
 protected:
  StretchSamplerTest()
      : path_(fs::temp_directory_path() / concat("stretch_sampler_test.", getpid())) {}
  ~StretchSamplerTest() override { fs::remove(path_); }

  // Documents of consecutive ids: document d begins with 1000 d.
  TokenCache cache(const std::vector<int32_t>& lengths) {
    std::vector<std::vector<int32_t>> documents;
    for (size_t d = 0; d < lengths.size(); ++d) {
      documents.emplace_back(static_cast<size_t>(lengths[d]));
      std::iota(documents.back().begin(), documents.back().end(), static_cast<int32_t>(1000 * d));
    }
    write_token_cache(path_, "v", "s", documents);
    return TokenCache(path_);
  }
  static StretchOptions options(double long_share = 0) {
    return {.length = 40,
            .long_length = 80,
            .long_share = long_share,
            .recall_share = 0,
            .recall = {},
            .prefix = {},
            .seed = 1};
  }

  fs::path path_;
};

TEST_F(StretchSamplerTest, StretchesLieWithinDocumentsAndAreAFunctionOfTheStep) {
  const TokenCache tokens = cache({100, 30, 60});
  const StretchSampler sampler(tokens, nullptr, options());
  std::set<int32_t> documents;
  for (int64_t step = 0; step < 200; ++step) {
    const Stretch stretch = sampler.training(step, 0);
    ASSERT_EQ(stretch.ids.size(), 40u);
    EXPECT_EQ(stretch.ids.back() - stretch.ids.front(), 39);
    documents.insert(stretch.ids.front() / 1000);
    EXPECT_EQ(stretch.ids, sampler.training(step, 0).ids);
  }
  EXPECT_EQ(documents, (std::set<int32_t>{0}));  // 1 is too short, 2 is held out
  EXPECT_NE(sampler.training(1, 0).ids, sampler.training(2, 0).ids);
  EXPECT_EQ(sampler.held_out(0, false).ids.front() / 1000, 2);
}

TEST_F(StretchSamplerTest, ASingleTextHoldsOutItsEnd) {
  const TokenCache tokens = cache({500});
  const StretchSampler sampler(tokens, nullptr, options());
  for (int64_t i = 0; i < 100; ++i) {
    EXPECT_LT(sampler.training(i, 0).ids.back(), 450);
    EXPECT_GE(sampler.held_out(i, false).ids.front(), 450);
  }
}

TEST_F(StretchSamplerTest, SharesOfLongStretchesAreKept) {
  const TokenCache tokens = cache({400, 400, 100});
  const StretchSampler sampler(tokens, nullptr, options(0.25));
  int n_long = 0;
  for (int64_t step = 0; step < 1000; ++step) n_long += sampler.training(step, 0).ids.size() == 80;
  EXPECT_NEAR(n_long, 250, 50);
}

TEST_F(StretchSamplerTest, LongStretchesAreDoubledOnceOrMoreUpToTheLongest) {
  const TokenCache tokens = cache({400, 400, 100});
  StretchOptions long_ones = options(1);
  long_ones.long_length = 200;
  const StretchSampler sampler(tokens, nullptr, long_ones);
  std::map<size_t, int> counts;
  for (int64_t step = 0; step < 600; ++step) ++counts[sampler.training(step, 0).ids.size()];
  ASSERT_EQ(counts.size(), 3u);
  for (const size_t length : {80, 160, 200}) EXPECT_NEAR(counts[length], 200, 60) << length;
}

TEST_F(StretchSamplerTest, LengthsAreKnownWithoutReading) {
  const TokenCache tokens = cache({100, 200, 60});
  const StretchSampler sampler(tokens, nullptr, options(0.5));
  for (int64_t step = 0; step < 50; ++step)
    for (int64_t index = 0; index < 2; ++index)
      EXPECT_EQ(sampler.training_length(step),
                static_cast<int64_t>(sampler.training(step, index).ids.size()));
}

TEST_F(StretchSamplerTest, EveryStretchBeginsWithThePrefix) {
  const TokenCache tokens = cache({400, 100});
  StretchOptions with_prefix = options();
  with_prefix.prefix = {-7};
  const Stretch stretch = StretchSampler(tokens, nullptr, with_prefix).training(0, 0);
  EXPECT_EQ(stretch.ids.size(), 40u);
  EXPECT_EQ(stretch.ids.front(), -7);
}

TEST_F(StretchSamplerTest, TextsTooShortAreReportedWithTheOption) {
  const TokenCache tokens = cache({39, 39, 39});
  try {
    const StretchSampler sampler(tokens, nullptr, options());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(error.what()).find("--length is 40 tokens, but the longest of the 2"),
              std::string::npos)
        << error.what();
  }
}

TEST(SampleRows, AreDistinctAscendingAndLedByTheFocus) {
  CounterRng rng(1, 1, 1);
  const std::vector<int64_t> rows = sample_rows(10, 100, 20, {5, 50, 51, 99}, rng);
  ASSERT_EQ(rows.size(), 20u);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_EQ(std::set<int64_t>(rows.begin(), rows.end()).size(), 20u);
  for (int64_t want : {50, 51, 99})
    EXPECT_TRUE(std::binary_search(rows.begin(), rows.end(), want)) << want;
  EXPECT_GE(rows.front(), 10);
  EXPECT_LT(rows.back(), 100);
}

TEST(SampleRows, TakeAllWhenThereAreFewer) {
  CounterRng rng(1, 1, 1);
  EXPECT_EQ(sample_rows(3, 6, 20, {}, rng), (std::vector<int64_t>{3, 4, 5}));
}

}  // namespace
}  // namespace dsrasq::train
