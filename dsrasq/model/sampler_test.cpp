#include "dsrasq/model/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "dsrasq/core/error.h"

namespace dsrasq::model {
namespace {

const std::vector<float> kLogits = {2.0f, -1.0f, 0.5f, 3.0f, 2.5f, -0.5f, 1.0f, 0.0f};

std::string error_of(const std::function<void()>& body, ErrorCode code) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no throw";
  return {};
}

struct Expected {
  const char* name;
  SamplingConfig config;
  std::vector<Candidate> candidates;
};

class SamplerReference : public testing::TestWithParam<Expected> {};

// The numbers are those of the transformers 5.23 logits processors in the same order; tokens 3, 5
// and 3 were seen before.
TEST_P(SamplerReference, KeepsTheTokensAndProbabilitiesOfTransformers) {
  Sampler sampler(GetParam().config);
  for (const int32_t token : {3, 5, 3}) sampler.observe(token);
  const std::vector<Candidate> kept = sampler.distribution(kLogits);
  ASSERT_EQ(kept.size(), GetParam().candidates.size());
  for (size_t i = 0; i < kept.size(); ++i) {
    EXPECT_EQ(kept[i].token, GetParam().candidates[i].token);
    EXPECT_NEAR(kept[i].probability, GetParam().candidates[i].probability, 1e-12);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Steps, SamplerReference,
    testing::Values(
        Expected{
            "all",
            {.temperature = 0.7, .top_k = 6, .top_p = 0.9, .min_p = 0.15, .repeat_penalty = 1.3},
            {{4, 0.44457831485717697}, {3, 0.337782079084607}, {0, 0.217639606058216}}},
        Expected{"penalty",
                 {.temperature = 0.7, .repeat_penalty = 1.3},
                 {{4, 0.40485225569892347},
                  {3, 0.30759898106143013},
                  {0, 0.1981920451302269},
                  {6, 0.04749692902997407},
                  {2, 0.02325172546119234},
                  {7, 0.011382688269834757},
                  {5, 0.00449750230705893},
                  {1, 0.0027278730413595434}}},
        Expected{"top_k",
                 {.temperature = 1.5, .top_k = 3},
                 {{3, 0.4484408637990407}, {4, 0.32132191985276876}, {0, 0.23023721634819047}}},
        Expected{"top_p",
                 {.temperature = 1.0, .top_p = 0.8},
                 {{3, 0.506480391055654}, {4, 0.3071958857184984}, {0, 0.1863237232258476}}},
        Expected{"min_p",
                 {.temperature = 1.0, .min_p = 0.2},
                 {{3, 0.506480391055654}, {4, 0.3071958857184984}, {0, 0.1863237232258476}}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(SamplerTest, GreedyTakesTheLargestAndOfEqualOnesTheLowerId) {
  Sampler sampler({});
  EXPECT_EQ(sampler.sample(kLogits), 3);
  EXPECT_EQ(sampler.sample(std::vector<float>{1.0f, 4.0f, 4.0f}), 1);
  Sampler one({.temperature = 1.0, .top_k = 1});
  EXPECT_EQ(one.sample(std::vector<float>{1.0f, 4.0f, 4.0f}), 1);
}

TEST(SamplerTest, PenaltyReachesGreedyToo) {
  Sampler sampler({.repeat_penalty = 2.0, .repeat_last_n = 2});
  sampler.observe(3);
  EXPECT_EQ(sampler.sample(kLogits), 4);
  sampler.observe(4);
  EXPECT_EQ(sampler.sample(kLogits), 0);
  sampler.observe(0);  // 3 leaves the history
  EXPECT_EQ(sampler.sample(kLogits), 3);
}

TEST(SamplerTest, DrawsAsOftenAsTheProbabilitiesSay) {
  Sampler sampler({.temperature = 1.0, .seed = 7});
  std::map<int32_t, int> counts;
  const int n_draws = 40000;
  for (int i = 0; i < n_draws; ++i) ++counts[sampler.sample(kLogits)];
  for (const Candidate& c : sampler.distribution(kLogits)) {
    const double deviation = std::sqrt(n_draws * c.probability * (1 - c.probability));
    EXPECT_NEAR(counts[c.token], n_draws * c.probability, 4 * deviation) << c.token;
  }
}

TEST(SamplerTest, MinusInfinityIsNeverDrawn) {
  const float never = -std::numeric_limits<float>::infinity();
  Sampler sampler({.temperature = 100.0, .repeat_penalty = 1.5});
  sampler.observe(0);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(sampler.sample(std::vector<float>{never, 0.0f, never}), 1);
  }
}

TEST(SamplerTest, SameSeedDrawsTheSameAndAnotherSeedDoesNot) {
  Sampler a({.temperature = 1.0, .seed = 1}), b({.temperature = 1.0, .seed = 1});
  Sampler c({.temperature = 1.0, .seed = 2});
  std::vector<int32_t> from_a, from_b, from_c;
  for (int i = 0; i < 50; ++i) {
    from_a.push_back(a.sample(kLogits));
    from_b.push_back(b.sample(kLogits));
    from_c.push_back(c.sample(kLogits));
  }
  EXPECT_EQ(from_a, from_b);
  EXPECT_NE(from_a, from_c);
}

TEST(SamplerTest, SavedStateContinuesBitForBit) {
  const SamplingConfig config{.temperature = 1.0, .repeat_penalty = 1.2, .seed = 3};
  Sampler first(config);
  for (int i = 0; i < 90; ++i) first.observe(first.sample(kLogits));
  Sampler second({.temperature = 1.0, .repeat_penalty = 1.2, .seed = 99});
  second.load_state(first.save_state(), static_cast<int64_t>(kLogits.size()));
  EXPECT_EQ(second.save_state(), first.save_state());
  for (int i = 0; i < 90; ++i) {
    const int32_t token = first.sample(kLogits);
    EXPECT_EQ(second.sample(kLogits), token);
    first.observe(token);
    second.observe(token);
  }
}

TEST(SamplerTest, DamagedStateIsRefusedAndChangesNothing) {
  Sampler sampler({.seed = 5});
  sampler.observe(1);
  const std::string good = sampler.save_state();
  for (const std::string& bad :
       {std::string(), std::string("other 1 2 3 4 0"), good.substr(0, good.size() - 2), good + " 7",
        good + "x", std::string("dsrasq-sampler-1 0 0 0 0 0"),
        std::string("dsrasq-sampler-1 1 2 3 4 99999999999"),
        std::string("dsrasq-sampler-1 1 2 3 4 1 -5"),
        std::string("dsrasq-sampler-1 1 2 3 4 1 9")}) {
    const std::string message = error_of([&] { sampler.load_state(bad, 9); }, ErrorCode::kBadInput);
    EXPECT_NE(message.find("saved state"), std::string::npos) << message;
    EXPECT_EQ(sampler.save_state(), good);
  }
}

TEST(SamplerTest, BadLogitsNameTheToken) {
  Sampler sampler({});
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_NE(error_of(
                [&] {
                  sampler.sample(std::vector<float>{0, NAN});
                },
                ErrorCode::kInternal)
                .find("the logit of token 1 is nan"),
            std::string::npos);
  error_of([&] { sampler.sample(std::vector<float>{inf}); }, ErrorCode::kInternal);
  EXPECT_NE(error_of(
                [&] {
                  sampler.sample(std::vector<float>{-inf, -inf});
                },
                ErrorCode::kInternal)
                .find("all of the 2 logits"),
            std::string::npos);
  error_of([&] { sampler.sample({}); }, ErrorCode::kInternal);
}

TEST(SamplerTest, OptionsOutOfRangeAreNamed) {
  const std::vector<std::pair<const char*, SamplingConfig>> bad = {
      {"temperature", {.temperature = -1}},
      {"temperature", {.temperature = NAN}},
      {"top_k", {.top_k = -1}},
      {"top_p", {.top_p = 0}},
      {"top_p", {.top_p = 1.1}},
      {"min_p", {.min_p = -0.1}},
      {"repeat_penalty", {.repeat_penalty = 0}},
      {"repeat_last_n", {.repeat_last_n = -1}}};
  for (const auto& [name, config] : bad) {
    const std::string message =
        error_of([&, c = config] { Sampler sampler(c); }, ErrorCode::kInvalidArgument);
    EXPECT_NE(message.find(concat(name, " is ")), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace dsrasq::model
