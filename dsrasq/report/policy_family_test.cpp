#include "dsrasq/report/policy_family.h"

#include <gtest/gtest.h>

#include <set>

namespace dsrasq::report {
namespace {

const Options kAuto{{"retrieve", {"auto"}}, {"min-share", {"0.0"}}, {"topk", {"256"}}};

TEST(PolicyFamilyTest, LabelsGoBeforeTheRun) {
  EXPECT_EQ(policy_option("dsrasq:topk=64:window=128", "topk", kAuto), "64");
  EXPECT_EQ(policy_option("dsrasq:topk=64:window=128", "window", kAuto), "128");
  EXPECT_EQ(policy_option("dsrasq", "topk", kAuto), "256");
  EXPECT_EQ(policy_option("dsrasq:topk=64", "op", {}), "");
  EXPECT_EQ(policy_option("dsrasq:chat", "chat", {{"chat", {}}}), "");
}

TEST(PolicyFamilyTest, WhatDecidesTheNumberOfTokensIsTheFamily) {
  EXPECT_EQ(family_of("dsrasq:topk=64", {}), "dsrasq top-k");
  EXPECT_EQ(family_of("dsrasq:topk=64", kAuto), "dsrasq");
  EXPECT_EQ(family_of("dsrasq", {{"retrieve", {"topk"}}}), "dsrasq top-k");
  EXPECT_EQ(family_of("dsrasq:min-share=0.001", kAuto), "dsrasq threshold");
  EXPECT_EQ(family_of("dsrasq:retrieve=threshold", kAuto), "dsrasq threshold");
  EXPECT_EQ(family_of("dsrasq:retrieve=budget", kAuto), "dsrasq budget");
}

TEST(PolicyFamilyTest, AsThePolicyDecides) {  // policy/set_size.h
  EXPECT_EQ(family_of("dsrasq:retrieve=budget:min-share=0.001", kAuto), "dsrasq threshold");
  EXPECT_EQ(family_of("dsrasq:retrieve=topk:min-share=0.001", kAuto), "dsrasq top-k");
}

TEST(PolicyFamilyTest, OtherOptionsMakeAnotherCurve) {
  EXPECT_EQ(options_beside("dsrasq:slots=0:topk=64:pool=9", {"topk"}), ":slots=0:pool=9");
  EXPECT_EQ(options_beside("dsrasq:slots=0:topk=64:pool=9", {"pool", "topk", "slots"}), "");
  EXPECT_EQ(options_beside("dsrasq", {}), "");
}

TEST(PolicyFamilyTest, OnlyAnAdapterDecidesHowMuchIsReadWhereNothingElseDoes) {
  EXPECT_TRUE(sizes_are_trained("dsrasq:retrieve=budget", kAuto));
  EXPECT_TRUE(sizes_are_trained("dsrasq:retrieve=threshold", kAuto));
  EXPECT_FALSE(sizes_are_trained("dsrasq:retrieve=threshold:min-share=0.001", kAuto));
  EXPECT_FALSE(sizes_are_trained("dsrasq:topk=64", kAuto));
  EXPECT_FALSE(sizes_are_trained("random", {{"retrieve", {"budget"}}}));
}

TEST(PolicyFamilyTest, OtherPoliciesAreTheirNames) {
  EXPECT_EQ(family_of("random:topk=64", kAuto), "random");
  EXPECT_EQ(family_of("h2o:cache=1024", kAuto), "h2o");
  EXPECT_TRUE(is_full("full:window=3"));
  EXPECT_FALSE(is_full("fuller"));
}

TEST(PolicyFamilyTest, SomeMemoriesKnowTheQuestion) {
  EXPECT_TRUE(keeps_by_question("snapkv:cache=512", {}));
  EXPECT_TRUE(keeps_by_question("pyramidkv", {}));
  EXPECT_TRUE(keeps_by_question("dsrasq", {{"retention", {"question"}}}));
  EXPECT_FALSE(keeps_by_question("dsrasq", {{"retention", {"recency"}}}));
  EXPECT_FALSE(keeps_by_question("h2o", {}));
}

TEST(PolicyFamilyTest, FamiliesThatAreComparedHaveColoursOfTheirOwn) {
  std::set<int> colours;
  for (const char* family :
       {"full", "dsrasq top-k", "dsrasq threshold", "dsrasq budget", "window", "recency", "random",
        "oracle", "streaming-llm", "h2o", "tova", "snapkv"})
    EXPECT_TRUE(colours.insert(colour_of(family)).second) << family;
  EXPECT_EQ(colour_of("dsrasq"), colour_of("dsrasq top-k"));
  for (const char* family : {"pyramidkv", "quest", "razor", "of tomorrow"}) {
    EXPECT_GE(colour_of(family), 8) << family;
    EXPECT_LE(colour_of(family), 11) << family;
  }
}

}  // namespace
}  // namespace dsrasq::report
