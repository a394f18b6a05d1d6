#include "dsrasq/retriever/adapter_slots.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/retriever/test_adapter.h"

namespace dsrasq::retriever {
namespace {

using formats::Dtype;
using formats::NamedTensor;
using formats::SafetensorsFile;

using memory::SlotMode;

class AdapterSlotsTest : public AdapterFileTest, public testing::WithParamInterface<SlotMode> {
 protected:
  static int64_t n_rows() { return GetParam() == SlotMode::kPosition ? 16 : 12; }
  static std::string u_k_name() {
    return GetParam() == SlotMode::kPosition ? "slots.5.a_k" : "slots.5.u_k";
  }

  // No value is one of fp16.
  static Adapter sample() {
    Adapter adapter = with_indexers({0});
    adapter.slots[5] = {.mode = GetParam(),
                        .n_slots = 3,
                        .n_kv_heads = 2,
                        .head_dim = 6,
                        .u_k = std::vector<float>(n_rows() * 3, 0.1f),
                        .u_v = std::vector<float>(n_rows() * 3, 0.2f),
                        .beta = {0.9f, 0.99f, 0.999999f},
                        .read_k = std::vector<float>(2 * 12 * 6, 0.3f),
                        .read_v = std::vector<float>(2 * 12 * 6, 0.4f),
                        .gate = {0.1f, 1.1f, 2.1f, 3.1f}};
    if (GetParam() == SlotMode::kRotate) adapter.slots[5].beta.clear();
    return adapter;
  }
  static float as_half(float value) { return at::full({1}, value).to(at::kHalf).item<float>(); }
};

TEST_P(AdapterSlotsTest, MatricesAreKeptAsFp16AndRatesExactly) {
  const Adapter before = sample();
  before.save(path());
  const Adapter after = Adapter::load(path());
  ASSERT_EQ(after.slots.size(), 1u);
  EXPECT_EQ(after.slot_mode(), GetParam());
  const memory::SlotParameters &want = before.slots.at(5), &got = after.slots.at(5);
  EXPECT_EQ(got.n_slots, 3);
  EXPECT_EQ(got.n_kv_heads, 2);
  EXPECT_EQ(got.head_dim, 6);
  EXPECT_EQ(got.block(), GetParam() == SlotMode::kPosition ? 16 : 0);
  EXPECT_EQ(got.u_k, std::vector<float>(n_rows() * 3, as_half(0.1f)));
  EXPECT_EQ(got.u_v, std::vector<float>(n_rows() * 3, as_half(0.2f)));
  EXPECT_EQ(got.read_k, std::vector<float>(2 * 12 * 6, as_half(0.3f)));
  EXPECT_EQ(got.read_v, std::vector<float>(2 * 12 * 6, as_half(0.4f)));
  EXPECT_EQ(got.beta, want.beta);
  EXPECT_EQ(got.gate, want.gate);
  const SafetensorsFile file(path());
  EXPECT_EQ(file.require("slots.5.read_k").shape, (std::vector<int64_t>{2, 12, 6}));
  EXPECT_EQ(file.require(u_k_name()).bytes.size(), static_cast<size_t>(2 * n_rows() * 3));
  EXPECT_EQ(file.require("slots.5.gate").bytes.size(), 4u * 4);
  EXPECT_EQ(file.find("slots.5.beta") == nullptr, GetParam() == SlotMode::kRotate);
}

TEST_P(AdapterSlotsTest, MatricesInFp32AreReadExactly) {
  const Adapter adapter = sample();
  adapter.save(path());
  const SafetensorsFile halves(path());
  std::vector<NamedTensor> tensors = halves.tensors();
  const std::vector<float>& u_k = adapter.slots.at(5).u_k;
  for (NamedTensor& tensor : tensors)
    if (tensor.name == u_k_name())
      tensor.dtype = Dtype::kF32, tensor.bytes = std::as_bytes(std::span(u_k));
  const auto wide = folder_ / "wide.safetensors";
  formats::write_safetensors(wide, tensors, halves.metadata());
  EXPECT_EQ(Adapter::load(wide).slots.at(5).u_k, u_k);
}

TEST_P(AdapterSlotsTest, WhatDoesNotFitIsRefusedByName) {
  Adapter adapter = sample();
  adapter.slots[5].gate.pop_back();
  EXPECT_HAS(refusal(adapter), "a.safetensors: the tensors slots.5.* do not fit each other");
  if (GetParam() != SlotMode::kRotate) {
    adapter = sample();
    adapter.slots[5].beta[1] = 1.5f;
    EXPECT_HAS(refusal(adapter), "slots.5.beta holds 1.5, want values between 0 and 1");
    adapter = sample();
    adapter.slots[5].beta.push_back(0.5f);
    EXPECT_HAS(refusal(adapter), "a.safetensors: the tensors slots.5.* do not fit each other");
  }
  sample().save(path());
  const SafetensorsFile file(path());
  std::vector<NamedTensor> tensors = file.tensors();
  for (NamedTensor& tensor : tensors)
    if (tensor.name == "slots.5.read_k") tensor.shape = {24, 6};
  const auto flat = folder_ / "flat.safetensors";
  formats::write_safetensors(flat, tensors, file.metadata());
  EXPECT_HAS(error_text([&] { Adapter::load(flat); }, ErrorCode::kBadInput),
             "flat.safetensors: slots.5.read_k has 2 dimensions, want 3");
}

TEST_P(AdapterSlotsTest, WhatIsNoNumberIsNotWritten) {
  Adapter adapter = sample();
  adapter.slots[5].read_v[7] = 1e6f;
  EXPECT_HAS(error_text([&] { adapter.save(path()); }, ErrorCode::kInvalidArgument),
             "slots.5.read_v holds a value that fp16 cannot");
}

TEST_P(AdapterSlotsTest, AModeThatThereIsNotIsRefused) {
  sample().save(path());
  std::string bytes = read_file(path());
  bytes[bytes.find(memory::slot_mode_name(GetParam()))] = 'x';
  write_file(path(), bytes);
  EXPECT_HAS(error_text([&] { Adapter::load(path()); }, ErrorCode::kBadInput),
             "config.slot_mode is \"x");
}

INSTANTIATE_TEST_SUITE_P(Modes, AdapterSlotsTest,
                         testing::Values(SlotMode::kContent, SlotMode::kPosition,
                                         SlotMode::kRotate),
                         [](const auto& info) { return memory::slot_mode_name(info.param); });

}  // namespace
}  // namespace dsrasq::retriever
