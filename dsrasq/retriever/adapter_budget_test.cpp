#include "dsrasq/retriever/adapter_budget.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <string>

#include "dsrasq/core/file.h"
#include "dsrasq/retriever/test_adapter.h"

namespace dsrasq::retriever {
namespace {

class AdapterBudgetTest : public AdapterFileTest {
 protected:
  static Adapter sample() {
    Adapter adapter = with_indexers({0, 3});
    adapter.budgets[3] = BudgetParameters::fresh(kEmbd);
    adapter.budgets[3].weight = at::randn_like(adapter.budgets[3].weight);
    return adapter;
  }
};

TEST_F(AdapterBudgetTest, RoundTripKeepsTheHeadsThatAreThere) {
  const Adapter before = sample();
  before.save(path());
  const Adapter after = Adapter::load(path());
  ASSERT_EQ(after.budgets.size(), 1u);
  const BudgetParameters &got = after.budgets.at(3), &want = before.budgets.at(3);
  EXPECT_EQ(got.weight.scalar_type(), at::kFloat);
  EXPECT_TRUE(got.weight.equal(want.weight.to(at::kHalf).to(at::kFloat)));
  EXPECT_TRUE(got.bias.equal(want.bias.to(at::kHalf).to(at::kFloat)));
}

TEST_F(AdapterBudgetTest, AFreshHeadPrefers48TokensWhateverItsInput) {
  const BudgetParameters fresh = BudgetParameters::fresh(kEmbd);
  EXPECT_EQ(kBudgetSizes[static_cast<size_t>(fresh.bias.argmax().item<int64_t>())], 64);
  EXPECT_EQ(fresh.weight.count_nonzero().item<int64_t>(), 0);
}

TEST_F(AdapterBudgetTest, OtherShapesAreRefusedByName) {
  Adapter adapter = sample();
  adapter.budgets[3].weight = at::zeros({6, kEmbd});
  EXPECT_HAS(refusal(adapter), "retriever.3.budget.weight is [6, 12], want [9, 22]");
  adapter = sample();
  adapter.budgets[3].bias = at::zeros({1 << 16});
  EXPECT_HAS(refusal(adapter), "retriever.3.budget.bias is [65536], want [9]");
}

TEST_F(AdapterBudgetTest, AHeadWithoutItsPartnerOrWithoutNumbersIsRefused) {
  sample().save(path());
  const std::string whole = read_file(path());
  std::string bytes = whole;
  const size_t name = bytes.find("budget.bias");
  ASSERT_NE(name, std::string::npos);
  write_file(path(), bytes.replace(name, 11, "budget.base"));
  EXPECT_HAS(error_text([&] { Adapter::load(path()); }, ErrorCode::kBadInput),
             "retriever.3.budget.bias");
  Adapter broken = sample();
  broken.budgets[3].bias.fill_(1e30);
  EXPECT_HAS(error_text([&] { broken.save(path()); }, ErrorCode::kInvalidArgument),
             "retriever.3.budget.bias holds a value that fp16 cannot");
  EXPECT_EQ(read_file(path()).size(), whole.size());
}

}  // namespace
}  // namespace dsrasq::retriever
