#include "dsrasq/retriever/adapter_slots.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "dsrasq/retriever/test_adapter.h"

namespace dsrasq::retriever {
namespace {

using formats::Dtype;
using formats::NamedTensor;
using formats::SafetensorsFile;

class AdapterSlotsTest : public AdapterFileTest {
 protected:
  // No value is one of fp16.
  static Adapter sample() {
    Adapter adapter = with_indexers({0});
    adapter.slots[5] = {.n_slots = 3,
                        .n_kv_heads = 2,
                        .u_k = std::vector<float>(12 * 3, 0.1f),
                        .u_v = std::vector<float>(12 * 3, 0.2f),
                        .beta = {0.9f, 0.99f, 0.999999f},
                        .read_k = std::vector<float>(2 * 12 * 6, 0.3f),
                        .read_v = std::vector<float>(2 * 12 * 6, 0.4f),
                        .gate = {0.1f, 1.1f, 2.1f, 3.1f}};
    return adapter;
  }
  static float as_half(float value) { return at::full({1}, value).to(at::kHalf).item<float>(); }
};

TEST_F(AdapterSlotsTest, MatricesAreKeptAsFp16AndRatesExactly) {
  const Adapter before = sample();
  before.save(path());
  const Adapter after = Adapter::load(path());
  ASSERT_EQ(after.slots.size(), 1u);
  const memory::SlotParameters &want = before.slots.at(5), &got = after.slots.at(5);
  EXPECT_EQ(got.n_slots, 3);
  EXPECT_EQ(got.n_kv_heads, 2);
  EXPECT_EQ(got.u_k, std::vector<float>(12 * 3, as_half(0.1f)));
  EXPECT_EQ(got.u_v, std::vector<float>(12 * 3, as_half(0.2f)));
  EXPECT_EQ(got.read_k, std::vector<float>(2 * 12 * 6, as_half(0.3f)));
  EXPECT_EQ(got.read_v, std::vector<float>(2 * 12 * 6, as_half(0.4f)));
  EXPECT_EQ(got.beta, want.beta);
  EXPECT_EQ(got.gate, want.gate);
  const SafetensorsFile file(path());
  EXPECT_EQ(file.require("slots.5.read_k").shape, (std::vector<int64_t>{2, 12, 6}));
  EXPECT_EQ(file.require("slots.5.u_k").bytes.size(), 2u * 12 * 3);
  EXPECT_EQ(file.require("slots.5.beta").bytes.size(), 4u * 3);
}

TEST_F(AdapterSlotsTest, MatricesInFp32AreReadExactly) {
  const Adapter adapter = sample();
  adapter.save(path());
  const SafetensorsFile halves(path());
  std::vector<NamedTensor> tensors = halves.tensors();
  const std::vector<float>& u_k = adapter.slots.at(5).u_k;
  for (NamedTensor& tensor : tensors)
    if (tensor.name == "slots.5.u_k")
      tensor.dtype = Dtype::kF32, tensor.bytes = std::as_bytes(std::span(u_k));
  const auto wide = folder_ / "wide.safetensors";
  formats::write_safetensors(wide, tensors, halves.metadata());
  EXPECT_EQ(Adapter::load(wide).slots.at(5).u_k, u_k);
}

TEST_F(AdapterSlotsTest, WhatDoesNotFitIsRefusedByName) {
  Adapter adapter = sample();
  adapter.slots[5].beta[1] = 1.5f;
  EXPECT_HAS(refusal(adapter), "slots.5.beta holds 1.5, want values between 0 and 1");
  adapter = sample();
  adapter.slots[5].beta.push_back(0.5f);
  EXPECT_HAS(refusal(adapter), "a.safetensors: the tensors slots.5.* do not fit each other");
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

TEST_F(AdapterSlotsTest, WhatIsNoNumberIsNotWritten) {
  Adapter adapter = sample();
  adapter.slots[5].read_v[7] = 1e6f;
  EXPECT_HAS(error_text([&] { adapter.save(path()); }, ErrorCode::kInvalidArgument),
             "slots.5.read_v holds a value that fp16 cannot");
}

}  // namespace
}  // namespace dsrasq::retriever
