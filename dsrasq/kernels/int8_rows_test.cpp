#include "dsrasq/kernels/int8_rows.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <random>
#include <vector>

namespace dsrasq::kernels {
namespace {

class Int8Rows : public testing::TestWithParam<int64_t> {
 protected:
  void TearDown() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

TEST_P(Int8Rows, CodesAreBitEqualToTheReferenceOnEveryInstructionSet) {
  const int64_t dim = GetParam(), n_rows = 37;
  std::mt19937 rng(3);
  std::normal_distribution<float> normal;
  std::vector<float> x(n_rows * dim);
  for (float& value : x) value = normal(rng);
  for (int64_t i = 0; i < dim; ++i) {
    x[i] = static_cast<float>(i % 255) - 127.0f + 0.5f;  // halves: ties when the scale is 1
    x[dim + i] = 0;
    x[2 * dim + i] = 1e-38f;
    x[3 * dim + i] = i == 0 ? 3e38f : -2e38f;
  }
  x[0] = 127;
  for (const int max_code : {kMaxCode, kMaxQueryCode}) {
    std::vector<int8_t> want(x.size()), got(x.size());
    std::vector<float> want_scale(n_rows), got_scale(n_rows);
    quantize_rows_ref(x.data(), n_rows, dim, want.data(), want_scale.data(), max_code);
    for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(target);
      SCOPED_TRACE(hwy::TargetName(target));
      quantize_rows(x.data(), n_rows, dim, got.data(), got_scale.data(), max_code);
      EXPECT_EQ(got, want);
      EXPECT_EQ(got_scale, want_scale);
    }
  }
}

TEST_P(Int8Rows, DequantisedRowsAreWithinHalfAStep) {
  const int64_t dim = GetParam(), n_rows = 5;
  std::mt19937 rng(4);
  std::normal_distribution<float> normal;
  std::vector<float> x(n_rows * dim), back(n_rows * dim), scale(n_rows);
  for (float& value : x) value = normal(rng);
  std::vector<int8_t> codes(x.size());
  quantize_rows(x.data(), n_rows, dim, codes.data(), scale.data());
  dequantize_rows(codes.data(), scale.data(), n_rows, dim, back.data());
  for (int64_t i = 0; i < n_rows * dim; ++i)
    EXPECT_LE(std::abs(back[i] - x[i]), 0.5001f * scale[i / dim]);
}

TEST(Int8RowsOfZeros, HaveScaleZeroAndCodesZero) {
  const std::vector<float> x(16, 0.0f);
  std::vector<int8_t> codes(16, 5);
  float scale = 1;
  quantize_rows(x.data(), 1, 16, codes.data(), &scale);
  EXPECT_EQ(scale, 0.0f);
  EXPECT_EQ(codes, std::vector<int8_t>(16, 0));
}

INSTANTIATE_TEST_SUITE_P(Dims, Int8Rows, testing::Values(1, 16, 32, 67, 256));

}  // namespace
}  // namespace dsrasq::kernels
