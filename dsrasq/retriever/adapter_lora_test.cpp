#include "dsrasq/retriever/adapter_lora.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "dsrasq/retriever/test_adapter.h"

namespace dsrasq::retriever {
namespace {

constexpr int64_t kRank = 3;

class AdapterLoraTest : public AdapterFileTest {
 protected:
  static Adapter sample() {
    Adapter adapter = with_indexers({0});
    adapter.lora[0].q = {at::randn({kRank, kEmbd}), at::randn({16, kRank})};
    adapter.lora[2].down = {at::randn({kRank, 40}), at::randn({kEmbd, kRank})};
    return adapter;
  }
};

TEST_F(AdapterLoraTest, RoundTripKeepsWhatIsThereAndNothingElse) {
  Adapter before = sample();
  before.thresholds[0] = -6.5f;
  before.save(path());
  const Adapter after = Adapter::load(path());
  ASSERT_EQ(after.lora.size(), 2u);
  const LowRank& q = after.lora.at(0).q;
  EXPECT_TRUE(q.a.equal(before.lora.at(0).q.a.to(at::kHalf).to(at::kFloat)));
  EXPECT_TRUE(q.b.equal(before.lora.at(0).q.b.to(at::kHalf).to(at::kFloat)));
  EXPECT_FALSE(after.lora.at(0).down.defined());
  EXPECT_TRUE(after.lora.at(2).down.defined());
  EXPECT_EQ(after.thresholds.at(0), -6.5f);
  sample().save(path());
  EXPECT_TRUE(Adapter::load(path()).thresholds.empty());
}

TEST_F(AdapterLoraTest, PartsThatDoNotFitAreRefusedByName) {
  Adapter adapter = sample();
  adapter.lora[0].q.b = at::zeros({16, kRank + 1});
  EXPECT_HAS(refusal(adapter), "a.safetensors: the tensors lora.0.q.* do not fit each other");
  adapter = sample();
  adapter.lora[0].q.a = at::zeros({kRank, kEmbd + 1});
  EXPECT_HAS(refusal(adapter), "lora.0.q.a is for a width of 13, the adapter's is 12");
  adapter = sample();
  adapter.lora[2].down.b = at::zeros({kEmbd - 1, kRank});
  EXPECT_HAS(refusal(adapter), "lora.2.down.b is for a width of 11, the adapter's is 12");
  adapter = sample();
  adapter.lora[0].q = {at::zeros({0, kEmbd}), at::zeros({16, 0})};
  EXPECT_HAS(refusal(adapter), "lora.0.q.* do not fit each other");
  adapter = sample();
  adapter.lora[0].q = {at::zeros({kEmbd}), at::zeros({16})};
  EXPECT_HAS(refusal(adapter), "lora.0.q.* do not fit each other");
}

TEST_F(AdapterLoraTest, AHalfWithoutItsPartnerIsRefused) {
  sample().save(path());
  std::string bytes = read_file(path());
  const size_t at = bytes.find("lora.0.q.b");
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, 10, "lora.0.x.b");
  write_file(path(), bytes);
  EXPECT_HAS(error_text([&] { Adapter::load(path()); }, ErrorCode::kBadInput), "lora.0.q.b");
}

TEST_F(AdapterLoraTest, WhatIsNoNumberIsNotWritten) {
  Adapter adapter = sample();
  adapter.lora[0].q.a.fill_(std::numeric_limits<float>::infinity());
  EXPECT_HAS(error_text([&] { adapter.save(path()); }, ErrorCode::kInvalidArgument),
             "lora.0.q.a holds a value that fp16 cannot");
}

}  // namespace
}  // namespace dsrasq::retriever
