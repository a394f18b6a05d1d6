#include "dsrasq/kernels/packed_linear.h"

#include "dsrasq/kernels/simd_targets.h"  // before Highway: the targets that the kernels have

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/kernels/int8_rows.h"

namespace dsrasq::kernels {
namespace {

using Bytes = std::vector<std::byte>;

struct Kind {
  WeightType type;
  const char* name;
  std::vector<int> halves;  // offsets in a block whose bytes are a half
};

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> kinds{
      {WeightType::kF32, "F32", {2}},      {WeightType::kF16, "F16", {0}},
      {WeightType::kBF16, "BF16", {0}},    {WeightType::kQ4_0, "Q4_0", {0}},
      {WeightType::kQ4_1, "Q4_1", {0, 2}}, {WeightType::kQ5_0, "Q5_0", {0}},
      {WeightType::kQ5_1, "Q5_1", {0, 2}}, {WeightType::kQ8_0, "Q8_0", {0}},
      {WeightType::kQ4_K, "Q4_K", {0, 2}}, {WeightType::kQ5_K, "Q5_K", {0, 2}},
      {WeightType::kQ6_K, "Q6_K", {208}}};
  return kinds;
}

// Random stored rows, with numbers that are neither infinite nor NaN.
Bytes random_rows(const Kind& kind, int64_t rows, int64_t cols, uint32_t state = 12345) {
  Bytes data(rows * weight_row_bytes(kind.type, cols));
  for (std::byte& b : data) {
    state = state * 1664525 + 1013904223;
    b = static_cast<std::byte>(state >> 24);
  }
  for (size_t block = 0; block < data.size(); block += weight_block(kind.type).bytes)
    for (int at : kind.halves) data[block + at + 1] &= std::byte{0xBB};
  return data;
}

std::vector<float> random_floats(size_t n, uint32_t seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

std::vector<float> run(const PackedLinear& w, const std::vector<float>& x, int64_t m,
                       const float* bias = nullptr, Products products = Products::kFp32) {
  std::vector<float> y(m * w.rows(), -1.f);
  linear(w, x.data(), m, w.cols(), y.data(), w.rows(), bias, products);
  return y;
}

// x as products of integers see it, by the plain reference.
std::vector<float> in_eight_bits(const std::vector<float>& x) {
  const auto n_blocks = static_cast<int64_t>(x.size() / 32);
  std::vector<int8_t> codes(x.size());
  std::vector<float> scale(n_blocks), out(x.size());
  quantize_rows_ref(x.data(), n_blocks, 32, codes.data(), scale.data());
  dequantize_rows(codes.data(), scale.data(), n_blocks, 32, out.data());
  return out;
}

// Agreement with the double-precision oracle to 1e-5 of the sum of absolute products.
void expect_close(std::span<const WeightSource> parts, const std::vector<float>& x, int64_t m,
                  const std::vector<float>& got, const float* bias) {
  const int64_t cols = parts[0].cols, rows = static_cast<int64_t>(got.size()) / m;
  std::vector<float> want(got.size());
  linear_ref(parts, x.data(), m, cols, want.data(), rows, bias);
  int64_t column = 0;
  for (const WeightSource& part : parts) {
    std::vector<float> row(cols);
    for (int64_t r = 0; r < part.rows; ++r, ++column) {
      const int64_t stored = part.row_map ? part.row_map[r] : r;
      dequantize_row_ref(part.type, part.data + stored * weight_row_bytes(part.type, cols), cols,
                         row.data());
      for (int64_t t = 0; t < m; ++t) {
        double size = bias ? std::abs(bias[column]) : 0;
        for (int64_t k = 0; k < cols; ++k) size += std::abs(double{x[t * cols + k]} * row[k]);
        const int64_t i = t * rows + column;
        ASSERT_NEAR(got[i], want[i], 1e-5 * size) << "row " << t << ", column " << column;
      }
    }
  }
}

class EveryTarget : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    hwy::GetChosenTarget().Update(GetParam());
    ASSERT_STREQ(linear_target(), hwy::TargetName(GetParam()));
  }
  void TearDown() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
    allow_linear_vnni(true);
    set_num_threads(2);
  }
};

TEST_P(EveryTarget, AgreesWithTheOracleForEveryTypeAndSize) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const int unit = weight_block(kind.type).weights;
    const int64_t cols = unit == 1 ? 75 : unit == 32 ? 96 : 512, rows = 53;
    const Bytes data = random_rows(kind, rows, cols);
    const WeightSource part{kind.type, data.data(), rows, cols};
    const PackedLinear w = PackedLinear::pack({&part, 1});
    EXPECT_EQ(w.rows(), rows);
    EXPECT_EQ(w.cols(), cols);
    for (int64_t m : {1, 2, 3, 4, 5, 8, 9, 17}) {
      const std::vector<float> x = random_floats(m * cols, 7), bias = random_floats(rows, 8);
      expect_close({&part, 1}, x, m, run(w, x, m), nullptr);
      expect_close({&part, 1}, x, m, run(w, x, m, bias.data()), bias.data());
    }
  }
}

TEST_P(EveryTarget, ARowHasTheSameBitsInEveryCallAndOnAnyNumberOfThreads) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    // Deeper than a block of k, and a last panel that is not full.
    const int64_t cols = 1280, rows = 52, most = 100;
    const Bytes data = random_rows(kind, rows, cols);
    const WeightSource part{kind.type, data.data(), rows, cols};
    const PackedLinear w = PackedLinear::pack({&part, 1});
    const std::vector<float> x = random_floats(most * cols, 3), bias = random_floats(rows, 4);
    set_num_threads(1);
    std::vector<float> one_by_one;
    for (int64_t t = 0; t < most; ++t) {
      const std::vector<float> y = run(w, {x.begin() + t * cols, x.end()}, 1, bias.data());
      one_by_one.insert(one_by_one.end(), y.begin(), y.end());
    }
    for (int threads : {1, 5}) {
      set_num_threads(threads);
      for (int64_t m : {1, 2, 3, 4, 5, 7, 8, 12, 17, 64, 100}) {
        const std::vector<float> y = run(w, x, m, bias.data());
        ASSERT_EQ(std::memcmp(y.data(), one_by_one.data(), y.size() * sizeof(float)), 0)
            << m << " rows, " << threads << " threads";
      }
    }
  }
}

// The codes with the largest products: 15 and -128 by 127, for sums that must not overflow.
Bytes largest_codes(const Kind& kind, int64_t rows, int64_t cols) {
  Bytes data(rows * weight_row_bytes(kind.type, cols), std::byte{0xFF});
  const WeightBlock block = weight_block(kind.type);
  for (size_t at = 0; at < data.size(); at += block.bytes) {
    if (kind.type == WeightType::kQ8_0)
      std::fill_n(data.begin() + static_cast<int64_t>(at), block.bytes, std::byte{0x80});
    for (int half : kind.halves) {
      data[at + half] = std::byte{0};
      data[at + half + 1] = std::byte{0x3C};  // 1
    }
  }
  return data;
}

TEST_P(EveryTarget, ProductsOfIntegersAreThoseOfXInEightBits) {
  if (!has_int8_products()) GTEST_SKIP() << "this instruction set has none";
  for (const bool vnni : {false, true}) {
    allow_linear_vnni(vnni);
    for (const Kind& kind : kinds()) {
      SCOPED_TRACE(kind.name);
      const int unit = weight_block(kind.type).weights;
      if (unit == 1) continue;  // no codes
      const int64_t cols = unit == 32 ? 96 : 512, rows = 53;
      for (const Bytes& data : {random_rows(kind, rows, cols), largest_codes(kind, rows, cols)}) {
        const WeightSource part{kind.type, data.data(), rows, cols};
        const PackedLinear w = PackedLinear::pack({&part, 1});
        const std::vector<float> bias = random_floats(rows, 8);
        for (int64_t m : {1, 2, 3, 5, 8, 9, 13, 30}) {
          std::vector<float> x = random_floats(m * cols, 7);
          std::fill_n(x.begin(), 32, 2.f);   // a block of equal codes
          std::fill_n(x.end() - 64, 32, 0);  // and one of nothing
          expect_close({&part, 1}, in_eight_bits(x), m, run(w, x, m, bias.data(), Products::kInt8),
                       bias.data());
        }
      }
    }
  }
}

TEST_P(EveryTarget, ProductsOfIntegersHaveTheSameBitsInEveryCallAndWithVnni) {
  if (!has_int8_products()) GTEST_SKIP() << "this instruction set has none";
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const int64_t cols = 1280, rows = 100, most = 40;
    const Bytes data = random_rows(kind, rows, cols);
    const WeightSource part{kind.type, data.data(), rows, cols};
    const PackedLinear w = PackedLinear::pack({&part, 1});
    const std::vector<float> x = random_floats(most * cols, 3);
    std::vector<float> one_by_one;
    allow_linear_vnni(false);
    for (int64_t t = 0; t < most; ++t) {
      const std::vector<float> y =
          run(w, {x.begin() + t * cols, x.end()}, 1, nullptr, Products::kInt8);
      one_by_one.insert(one_by_one.end(), y.begin(), y.end());
    }
    for (const bool vnni : {false, true}) {
      allow_linear_vnni(vnni);
      for (int threads : {1, 3}) {
        set_num_threads(threads);
        for (int64_t m : {1, 2, 5, 8, 9, 17, 40}) {
          const std::vector<float> y = run(w, x, m, nullptr, Products::kInt8);
          ASSERT_EQ(std::memcmp(y.data(), one_by_one.data(), y.size() * sizeof(float)), 0)
              << m << " rows, " << threads << " threads, vnni " << vnni;
        }
      }
    }
  }
}

TEST(PackedLinear, WhatIsNoNumberIsSeenInProductsOfIntegers) {
  const Kind& kind = kinds()[4];
  const Bytes data = random_rows(kind, 50, 64);
  const WeightSource part{kind.type, data.data(), 50, 64};
  const PackedLinear w = PackedLinear::pack({&part, 1});
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    std::vector<float> x = random_floats(128, 1);
    x[40] = bad;
    const std::vector<float> y = run(w, x, 2, nullptr, Products::kInt8);
    for (int64_t i = 0; i < 50; ++i) {
      EXPECT_FALSE(std::isfinite(y[i])) << bad;
      EXPECT_TRUE(std::isfinite(y[50 + i])) << bad;
    }
  }
}

TEST_P(EveryTarget, PartsAreStackedAndRowsMapped) {
  const int64_t cols = 256;
  const std::vector<int64_t> rows{20, 33, 16, 1};
  const std::vector<size_t> of_kind{8, 10, 7, 1};  // Q4_K, Q6_K, Q8_0, F16
  std::vector<Bytes> data;
  std::vector<int32_t> reversed(33);
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  std::vector<WeightSource> parts;
  for (size_t i = 0; i < rows.size(); ++i) {
    data.push_back(random_rows(kinds()[of_kind[i]], rows[i], cols, 5 + i));
    parts.push_back({kinds()[of_kind[i]].type, data.back().data(), rows[i], cols,
                     i == 1 ? reversed.data() : nullptr});
  }
  const PackedLinear w = PackedLinear::pack(parts);
  ASSERT_EQ(w.rows(), 70);
  for (int64_t m : {1, 3, 6, 30}) {
    const std::vector<float> x = random_floats(m * cols, 9);
    expect_close(parts, x, m, run(w, x, m), nullptr);
  }
}

TEST_P(EveryTarget, StridesLeaveWhatLiesBetweenRowsAlone) {
  const Kind& kind = kinds()[4];
  const int64_t cols = 64, rows = 21, m = 11, x_stride = 70, y_stride = 25;
  const Bytes data = random_rows(kind, rows, cols);
  const WeightSource part{kind.type, data.data(), rows, cols};
  const PackedLinear w = PackedLinear::pack({&part, 1});
  const std::vector<float> x = random_floats(m * x_stride, 2);
  std::vector<float> y(m * y_stride, 77.f);
  linear(w, x.data(), m, x_stride, y.data(), y_stride);
  for (int64_t t = 0; t < m; ++t) {
    const std::vector<float> alone = run(w, {x.begin() + t * x_stride, x.end()}, 1);
    EXPECT_EQ(std::memcmp(&y[t * y_stride], alone.data(), rows * sizeof(float)), 0) << t;
    for (int64_t c = rows; c < y_stride; ++c) EXPECT_EQ(y[t * y_stride + c], 77.f);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, EveryTarget,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

TEST(GatherRows, GivesTheExactStoredValues) {
  const std::vector<int32_t> reversed{4, 3, 2, 1, 0};
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.name);
    const int64_t cols = 512;
    const Bytes first = random_rows(kind, 18, cols), second = random_rows(kind, 5, cols, 6);
    const WeightSource parts[] = {{kind.type, first.data(), 18, cols},
                                  {kind.type, second.data(), 5, cols, reversed.data()}};
    const PackedLinear w = PackedLinear::pack(parts);
    const int32_t rows[] = {17, 0, 18, 22, 17};
    std::vector<float> y(5 * cols), want(cols);
    gather_rows(w, rows, 5, y.data());
    for (int i = 0; i < 5; ++i) {
      const std::byte* stored =
          rows[i] < 18 ? first.data() + rows[i] * weight_row_bytes(kind.type, cols)
                       : second.data() + (22 - rows[i]) * weight_row_bytes(kind.type, cols);
      dequantize_row_ref(kind.type, stored, cols, want.data());
      EXPECT_EQ(std::memcmp(&y[i * cols], want.data(), cols * sizeof(float)), 0)
          << "row " << rows[i];
    }
  }
}

// Printed by tools/make_dequantize_golden.py, from the Python package `gguf`.
TEST(DequantizeRowRef, EqualsTheReferenceImplementationOfGguf) {
  const std::pair<WeightType, uint32_t> want[] = {
      {WeightType::kF16, 0x0ED6398B},  {WeightType::kBF16, 0x3B220374},
      {WeightType::kQ4_0, 0x0A431BFA}, {WeightType::kQ4_1, 0x663F4050},
      {WeightType::kQ5_0, 0x0EAC1995}, {WeightType::kQ5_1, 0x28222920},
      {WeightType::kQ8_0, 0x4BECD176}, {WeightType::kQ4_K, 0xAD727AB9},
      {WeightType::kQ5_K, 0xD9D71368}, {WeightType::kQ6_K, 0x78E35679}};
  for (const auto& [type, crc] : want) {
    const Kind& kind = kinds()[static_cast<size_t>(type)];
    std::vector<float> row(1024);
    dequantize_row_ref(type, random_rows(kind, 1, 1024).data(), 1024, row.data());
    for (float& v : row) v += 0.f;  // -0 to 0
    EXPECT_EQ(crc32c(std::as_bytes(std::span(row))), crc) << kind.name;
  }
}

TEST(PackedLinear, TakesNoMoreMemoryThanItsFormatSays) {
  const std::pair<WeightType, double> bits[] = {
      {WeightType::kQ4_0, 4.5},   {WeightType::kQ4_1, 5},      {WeightType::kQ8_0, 8.5},
      {WeightType::kQ4_K, 4.625}, {WeightType::kQ6_K, 8.5625}, {WeightType::kF32, 32}};
  for (const auto& [type, most] : bits) {
    const Kind& kind = kinds()[static_cast<size_t>(type)];
    const Bytes data = random_rows(kind, 96, 1024);
    const WeightSource part{type, data.data(), 96, 1024};
    EXPECT_LE(PackedLinear::pack({&part, 1}).bytes() * 8 / (96 * 1024.), most) << kind.name;
  }
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(PackedLinear, MistakesAreNamed) {
  const Bytes data = random_rows(kinds()[7], 4, 64);
  const WeightSource good{WeightType::kQ8_0, data.data(), 4, 64};
  WeightSource odd = good, mapped = good, narrow = good;
  odd.cols = 48;
  narrow.cols = 32;
  const int32_t map[] = {0, 1, 2, 4};
  mapped.row_map = map;
  const auto pack = [](std::vector<WeightSource> parts) {
    return message_of([&] { PackedLinear::pack(parts); });
  };
  EXPECT_EQ(pack({}), "[kernels.packed_linear] no matrix to pack");
  EXPECT_EQ(pack({odd}), "[kernels.packed_linear] rows of 48 weights are not whole blocks of 32");
  EXPECT_EQ(pack({good, narrow}),
            "[kernels.packed_linear] stacked matrices have 64 and 32 columns, want the same");
  EXPECT_EQ(pack({mapped}), "[kernels.packed_linear] row_map[3] is 4, want 0 to 3");
  const PackedLinear w = PackedLinear::pack({&good, 1});
  std::vector<float> y(64);
  const int32_t rows[] = {4};
  EXPECT_EQ(message_of([&] { gather_rows(w, rows, 1, y.data()); }),
            "[kernels.packed_linear] row 4 of a matrix of 4 rows");
  EXPECT_EQ(message_of([&] { linear(w, y.data(), 1, 64, y.data(), 3); }),
            "[kernels.packed_linear] strides 64 and 3 are below the matrix's 64 and 4");
}

}  // namespace
}  // namespace dsrasq::kernels
