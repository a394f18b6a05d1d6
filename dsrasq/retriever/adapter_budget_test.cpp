#include "dsrasq/retriever/adapter_budget.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <string>

#include "dsrasq/core/file.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/retriever/adapter.h"

namespace dsrasq::retriever {
namespace {

constexpr int64_t kEmbd = 12;

class AdapterBudgetTest : public FolderTest {
 protected:
  static Adapter sample() {
    Adapter adapter;
    adapter.base_fingerprint = "0123456789abcdef";
    adapter.base_name = "tiny";
    adapter.n_embd = kEmbd;
    adapter.n_heads = 2;
    adapter.head_dim = 8;
    adapter.d_max = 6000;
    adapter.record = "{}";
    for (int64_t layer : {0, 3}) adapter.indexers[layer] = Adapter::random(kEmbd, 2, 8, 1);
    adapter.budgets[3] = BudgetParameters::fresh(kEmbd);
    adapter.budgets[3].weight = at::randn_like(adapter.budgets[3].weight);
    return adapter;
  }
  std::string refusal(const Adapter& adapter) {
    adapter.save(path());
    return error_text([&] { Adapter::load(path()); }, ErrorCode::kBadInput);
  }
  std::filesystem::path path() const { return folder_ / "a.safetensors"; }
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
  EXPECT_EQ(kBudgetSizes[static_cast<size_t>(fresh.bias.argmax().item<int64_t>())], 48);
  EXPECT_EQ(fresh.weight.count_nonzero().item<int64_t>(), 0);
}

TEST_F(AdapterBudgetTest, OtherShapesAreRefusedByName) {
  Adapter adapter = sample();
  adapter.budgets[3].weight = at::zeros({6, kEmbd});
  EXPECT_HAS(refusal(adapter), "retriever.3.budget.weight is [6, 12], want [6, 19]");
  adapter = sample();
  adapter.budgets[3].bias = at::zeros({1 << 16});
  EXPECT_HAS(refusal(adapter), "retriever.3.budget.bias is [65536], want [6]");
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
