#include "dsrasq/eval/policy_list.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/formats/test_folder.h"

namespace dsrasq::eval {
namespace {

std::string refusal(const std::string& list) {
  return error_text([&] { parse_policies(list, {}); }, ErrorCode::kInvalidArgument);
}

TEST(PolicyList, OptionsAfterColonsChangeThatPolicyAlone) {
  policy::PolicyOptions base;
  base.window = 300;
  const auto policies = parse_policies("full,dsrasq:topk=64:window=1024,random", base);
  ASSERT_EQ(policies.size(), 3u);
  EXPECT_EQ(policies[0].label, "full");
  EXPECT_EQ(policies[0].options.name, "full");
  EXPECT_EQ(policies[1].label, "dsrasq:topk=64:window=1024");
  EXPECT_EQ(policies[1].options.name, "dsrasq");
  EXPECT_EQ(policies[1].options.top_k, 64);
  EXPECT_EQ(policies[1].options.window, 1024);
  EXPECT_EQ(policies[2].options.window, 300);
  EXPECT_EQ(policies[2].options.top_k, base.top_k);
}

TEST(PolicyList, EveryMistakeIsQuoted) {
  EXPECT_HAS(refusal("full,nothing"), "nothing");
  EXPECT_HAS(refusal("dsrasq:topk"), "'topk' is not KEY=VALUE");
  EXPECT_HAS(refusal("dsrasq:top=3"), "policy 'dsrasq:top=3' has no option 'top'");
  EXPECT_HAS(refusal("dsrasq:topk=3x"), "topk is '3x', want a number");
  EXPECT_HAS(refusal("dsrasq:policy=full"), "has no option 'policy'");
  EXPECT_HAS(refusal("dsrasq:retention="), "retention is '', want a word");
  EXPECT_HAS(refusal("full,window,full"), "policy 'full' is in the list twice");
  EXPECT_HAS(refusal("full,"), "[");
}

TEST(PolicyList, MethodsThatPrunePromptsAreForTasks) {
  EXPECT_HAS(refusal("full,attentionrag"), "policy 'attentionrag' prunes the texts of a question");
  const auto policies = parse_policies("window,attentionrag", {}, PromptMethods::kTaken);
  EXPECT_FALSE(policies[0].prunes_prompt);
  EXPECT_TRUE(policies[1].prunes_prompt);
  EXPECT_EQ(policies[1].options.name, "full");
}

TEST(PolicyList, UntrainedFormsOfTrainedMethodsAreMarked) {
  const auto marked = [](const char* label) {
    nlohmann::ordered_json row{{"policy", label}};
    mark_untrained(row, label);
    return row.contains("trained");
  };
  EXPECT_TRUE(marked("infini"));
  EXPECT_TRUE(marked("infini-delta:cache=512"));
  EXPECT_FALSE(marked("h2o"));
  EXPECT_FALSE(marked("dsrasq:topk=64"));
}

TEST(PolicyList, ShardsShareTheSamples) {
  EXPECT_TRUE(parse_shard("").has(7));
  const Shard shard = parse_shard("1/3");
  EXPECT_FALSE(shard.has(0));
  EXPECT_TRUE(shard.has(1));
  EXPECT_FALSE(shard.has(2));
  EXPECT_TRUE(shard.has(4));
  for (const char* wrong : {"3/3", "-1/3", "1", "1/", "/3", "a/3", "1/3x", "0/0"})
    EXPECT_HAS(error_text([&] { parse_shard(wrong); }, ErrorCode::kInvalidArgument),
               std::string("shard is '") + wrong + "', want I/N with I from 0 to N-1");
}

}  // namespace
}  // namespace dsrasq::eval
