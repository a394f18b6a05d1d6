#include "dsrasq/formats/dequantize.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "dsrasq/formats/half.h"
#include "dsrasq/formats/safetensors.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::formats {
namespace {

class DequantizeTest : public testing::TestWithParam<GgmlType> {};

// The golden file: tools/make_golden_formats.py.
TEST_P(DequantizeTest, RandomBlocksAreBitEqualToTheGgufPackage) {
  const SafetensorsFile golden("tests/golden/dequantize.safetensors");
  const std::string name = ggml_type_name(GetParam());
  const NamedTensor& blocks = golden.require(name + ".blocks");
  const NamedTensor& values = golden.require(name + ".values");
  const int64_t n = values.shape.at(0);
  ASSERT_GE(n, 64);
  ASSERT_EQ(ggml_row_bytes(GetParam(), n), static_cast<int64_t>(blocks.bytes.size()));

  std::vector<float> result(static_cast<size_t>(n));
  dequantize(GetParam(), blocks.bytes.data(), n, result.data());
  const auto* want = reinterpret_cast<const uint32_t*>(values.bytes.data());
  for (size_t i = 0; i < result.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(result[i]), want[i]) << name << " weight " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, DequantizeTest,
                         testing::Values(GgmlType::kF32, GgmlType::kF16, GgmlType::kBF16,
                                         GgmlType::kQ4_0, GgmlType::kQ4_1, GgmlType::kQ5_0,
                                         GgmlType::kQ5_1, GgmlType::kQ8_0, GgmlType::kQ4_K,
                                         GgmlType::kQ5_K, GgmlType::kQ6_K),
                         [](const auto& info) { return ggml_type_name(info.param); });

TEST(Half, EveryFiniteValueIsTheOneOfItsFields) {
  for (uint32_t bits = 0; bits < 0x8000; ++bits) {
    const int exponent = static_cast<int>(bits >> 10);
    const int fraction = static_cast<int>(bits & 1023);
    if (exponent == 31) continue;
    const float want = exponent == 0
                           ? std::ldexp(static_cast<float>(fraction), -24)
                           : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
    ASSERT_EQ(half_to_float(static_cast<uint16_t>(bits)), want) << bits;
    ASSERT_EQ(half_to_float(static_cast<uint16_t>(bits | 0x8000)), -want) << bits;
  }
}

TEST(Dequantize, NoWeightsAreNoWork) { dequantize(GgmlType::kF32, nullptr, 0, nullptr); }

TEST(Dequantize, PartOfABlockIsRefused) {
  float out[48];
  std::byte in[64]{};
  EXPECT_HAS(error_text([&] { dequantize(GgmlType::kQ8_0, in, 48, out); }),
             "a row of 48 weights is no whole number of Q8_0 blocks of 32");
}

TEST(Dequantize, OtherTypesAreRefusedByName) {
  float out[256];
  std::byte in[128]{};
  EXPECT_HAS(error_text([&] { dequantize(static_cast<GgmlType>(10), in, 256, out); }),
             "quantisation Q2_K is not supported; supported are F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, "
             "Q8_0, Q4_K, Q5_K, Q6_K, BF16");
  EXPECT_HAS(error_text([&] { dequantize(static_cast<GgmlType>(99), in, 256, out); }),
             "quantisation type 99 is not supported");
}

}  // namespace
}  // namespace dsrasq::formats
