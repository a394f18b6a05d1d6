#include "dsrasq/cuda/rows.h"

#include <cmath>
#include <random>
#include <vector>

#include "dsrasq/cuda/test_device.h"

namespace dsrasq::cuda {
namespace {

using CudaRows = GpuTest;

std::vector<Bf16> random_halves(size_t n) {
  std::mt19937 rng(9);
  std::normal_distribution<float> normal;
  std::vector<Bf16> values(n);
  for (Bf16& value : values) value = bf16_of(2 * normal(rng));
  return values;
}

void expect_bf16(Bf16 got, double want) {
  ASSERT_NEAR(float_of(got), want, 0.0045 * std::abs(want) + 1e-5);
}

TEST_F(CudaRows, NormsByTheRootOfTheMeanSquare) {
  for (const size_t width : {64, 576, 2050}) {
    constexpr size_t kRows = 37;
    const std::vector<Bf16> x = random_halves(kRows * width);
    std::vector<float> weight(width);
    for (size_t c = 0; c < width; ++c) weight[c] = 0.5f + static_cast<float>(c % 7);
    const DeviceArray<Bf16> rows(x), out(x.size());
    const DeviceArray<float> scale(weight);
    rms_norm(rows.data(), scale.data(), kRows, static_cast<int64_t>(width), 1e-5f, out.data(),
             nullptr);
    const std::vector<Bf16> got = out.host();
    for (size_t row = 0; row < kRows; ++row) {
      double squares = 0;
      for (size_t c = 0; c < width; ++c) squares += std::pow(float_of(x[row * width + c]), 2);
      const double root = std::sqrt(squares / static_cast<double>(width) + 1e-5);
      for (size_t c = 0; c < width; ++c)
        expect_bf16(got[row * width + c], float_of(x[row * width + c]) / root * weight[c]);
    }
  }
}

TEST_F(CudaRows, GatesBySiluAndGelu) {
  constexpr size_t kRows = 21, kWidth = 90;
  const std::vector<Bf16> x = random_halves(kRows * 2 * kWidth);
  const DeviceArray<Bf16> rows(x), out(kRows * kWidth);
  for (const bool is_gelu : {false, true}) {
    gated(rows.data(), kRows, kWidth, is_gelu, out.data(), nullptr);
    const std::vector<Bf16> got = out.host();
    for (size_t row = 0; row < kRows; ++row)
      for (size_t c = 0; c < kWidth; ++c) {
        const double gate = float_of(x[row * 2 * kWidth + c]),
                     up = float_of(x[row * 2 * kWidth + kWidth + c]);
        const double inner = std::sqrt(2 / M_PI) * (gate + 0.044715 * gate * gate * gate);
        const double active =
            is_gelu ? 0.5 * gate * (1 + std::tanh(inner)) : gate / (1 + std::exp(-gate));
        expect_bf16(got[row * kWidth + c], active * up);
      }
  }
}

}  // namespace
}  // namespace dsrasq::cuda
