// Log-probabilities against those of transformers (tools/make_golden_models.py made the files).

#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cstring>
#include <ostream>

#include "dsrasq/formats/safetensors.h"
#include "dsrasq/policy/factory.h"
#include "tests/models/read_model.h"

namespace dsrasq {
namespace {

namespace fs = std::filesystem;
const fs::path kGolden = "tests/golden/models";

at::Tensor golden_tensor(const formats::SafetensorsFile& file, const char* name) {
  const formats::NamedTensor& stored = file.require(name);
  const at::ScalarType type = stored.dtype == formats::Dtype::kF32   ? at::kFloat
                              : stored.dtype == formats::Dtype::kI32 ? at::kInt
                                                                     : at::kLong;
  at::Tensor tensor = at::empty(stored.shape, type);
  EXPECT_EQ(tensor.nbytes(), stored.bytes.size()) << name;
  std::memcpy(tensor.mutable_data_ptr(), stored.bytes.data(), stored.bytes.size());
  return tensor;
}

at::Tensor log_softmax(const at::Tensor& logits) { return at::log_softmax(logits, -1); }

double max_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>();
}

std::unique_ptr<policy::Policy> full_policy(const model::Transformer& model) {
  return policy::make_policy({.name = "full"}, model.shape(), nullptr);
}

struct Case {
  std::string model;
  bool packed;
  double tolerance;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.model << (c.packed ? ", packed" : ", dense");
  }
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.model.substr(0, info.param.model.find_first_of(".-"));
  return name + (info.param.packed ? "_packed" : "_dense");
}

class TinyModel : public testing::TestWithParam<Case> {};

TEST_P(TinyModel, GivesTheLogProbabilitiesOfTransformersHoweverItIsRead) {
  const fs::path folder = kGolden / GetParam().model;
  const formats::SafetensorsFile golden(folder / "golden.safetensors");
  const at::Tensor ids = golden_tensor(golden, "ids").to(at::kLong);
  const at::Tensor positions = golden_tensor(golden, "positions");
  const at::Tensor logits = golden_tensor(golden, "logits");
  const model::Transformer model = load_model(folder, GetParam().packed);
  using Cuts = std::vector<std::vector<int64_t>>;
  const bool is_long = ids.size(0) > 100;
  for (const auto& cuts : is_long ? Cuts{{512}, {64, 7, 129}} : Cuts{{512}, {1}, {7}, {3, 1, 16}}) {
    const auto policy = full_policy(model);
    const at::Tensor states = states_in_cuts(model, *policy, ids, cuts);
    const at::Tensor ours = model.logits(states.index_select(0, positions));
    ASSERT_EQ(ours.sizes(), logits.sizes());
    EXPECT_LT(max_difference(log_softmax(ours), log_softmax(logits)), GetParam().tolerance)
        << "read " << cuts.front() << " tokens at first";
    EXPECT_LT(max_difference(ours, logits), GetParam().tolerance);
  }
}

std::vector<Case> tiny_cases() {
  std::vector<Case> cases;
  for (const char* name : {"llama", "llama_tied", "llama3_rope", "linear_rope", "yarn", "mistral",
                           "qwen2", "qwen3", "gemma2", "gemma3", "gemma3_global_first"})
    for (const bool packed : {true, false}) cases.push_back({name, packed, 1e-4});
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Golden, TinyModel, testing::ValuesIn(tiny_cases()), case_name);

/// What the test compares of a real model: it never holds the logits of all tokens at once.
struct Differences {
  double next = 0, top = 0;
};

class RealModel : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const fs::path file = fs::path("models") / GetParam().model;
    if (!fs::exists(file)) GTEST_SKIP() << file << " is not here";
    const bool is_gemma = GetParam().model.starts_with("gemma");
    const formats::SafetensorsFile golden(
        kGolden / (is_gemma ? "gemma-3-270m.safetensors" : "smollm2-135m.safetensors"));
    ids_ = golden_tensor(golden, "ids").to(at::kLong);
    next_ = golden_tensor(golden, "next_logprobs");
    positions_ = golden_tensor(golden, "positions");
    top_ids_ = golden_tensor(golden, "top_ids").to(at::kLong);
    top_ = golden_tensor(golden, "top_logprobs");
    model_ = std::make_unique<model::Transformer>(load_model(file, GetParam().packed));
  }

  // Of the first `n_tokens` tokens.
  Differences compare(int64_t n_tokens, const std::vector<int64_t>& cuts) const {
    Differences worst;
    const auto policy = full_policy(*model_);
    const at::Tensor ids = ids_.narrow(0, 0, n_tokens);
    read_in_cuts(*model_, *policy, ids, cuts, [&](int64_t first, const at::Tensor& states) {
      constexpr int64_t kRows = 32;  // a large vocabulary makes wide rows
      for (int64_t i = 0; i < states.size(0); i += kRows) {
        const int64_t n = std::min(kRows, states.size(0) - i);
        const at::Tensor logprobs = log_softmax(model_->logits(states.narrow(0, i, n)));
        for (int64_t row = 0; row < n; ++row) compare_row(first + i + row, logprobs[row], worst);
      }
    });
    return worst;
  }

  void compare_row(int64_t position, const at::Tensor& logprobs, Differences& worst) const {
    const auto keep = [](double& most, const at::Tensor& a, const at::Tensor& b) {
      most = std::max(most, max_difference(a, b));
    };
    if (position < next_.size(0))
      keep(worst.next, logprobs[ids_[position + 1].item<int64_t>()], next_[position]);
    for (int64_t i = 0; i < positions_.size(0); ++i)
      if (positions_[i].item<int64_t>() == position)
        keep(worst.top, logprobs.index_select(0, top_ids_[i]), top_[i]);
  }

  at::Tensor ids_, next_, positions_, top_ids_, top_;
  std::unique_ptr<model::Transformer> model_;
};

TEST_P(RealModel, GivesTheLogProbabilitiesOfTransformersHoweverItIsRead) {
  struct Reading {
    int64_t n_tokens;
    std::vector<int64_t> cuts;
  };
  for (const Reading& reading : {Reading{700, {512}}, {150, {7, 64}}, {48, {1}}}) {
    const Differences worst = compare(reading.n_tokens, reading.cuts);
    RecordProperty("next_" + std::to_string(reading.cuts.front()), std::to_string(worst.next));
    EXPECT_LT(worst.next, GetParam().tolerance) << "cuts of " << reading.cuts.front();
    EXPECT_LT(worst.top, GetParam().tolerance) << "cuts of " << reading.cuts.front();
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, RealModel,
                         testing::Values(Case{"SmolLM2-135M-Instruct.Q4_1.gguf", true, 2e-4},
                                         Case{"SmolLM2-135M-Instruct.Q4_1.gguf", false, 2e-4},
                                         Case{"gemma-3-270m.Q4_K_M.gguf", true, 2e-4},
                                         Case{"gemma-3-270m.Q4_K_M.gguf", false, 2e-4}),
                         case_name);

}  // namespace
}  // namespace dsrasq
