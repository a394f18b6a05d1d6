#include "dsrasq/kernels/rows.h"

#include "dsrasq/kernels/simd_targets.h"  // before Highway: the targets that the kernels have

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "dsrasq/core/parallel.h"

namespace dsrasq::kernels {
namespace {

using Floats = std::vector<float>;

Floats random_floats(size_t n, uint32_t seed, float size = 1) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0, size);
  Floats x(n);
  for (float& v : x) v = normal(rng);
  return x;
}

void expect_close(const Floats& got, const Floats& want, float relative, float absolute) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], want[i], absolute + relative * std::abs(want[i])) << i;
}

class RowsOnEveryTarget : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    hwy::SetSupportedTargetsForTest(GetParam());
    hwy::GetChosenTarget().Update(GetParam());
    ASSERT_STREQ(rows_target(), hwy::TargetName(GetParam()));
  }
  void TearDown() override {
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().DeInit();
    set_num_threads(2);
  }
};

// Three heads of `width` inside rows that hold more; what lies between must stay.
struct Heads {
  explicit Heads(int64_t width, int64_t rows = 5)
      : shape{rows, 3, width, 3 * width + 4, 3 * width + 7},
        x(random_floats(rows * shape.x_stride, 1, 3)),
        got(rows * shape.y_stride, 9),
        want(got) {}
  RowShape shape;
  Floats x, got, want;
};

TEST_P(RowsOnEveryTarget, NormsAgreeWithTheOracle) {
  for (int64_t width : {1, 7, 16, 64, 100, 576}) {
    SCOPED_TRACE(width);
    const Floats weight = random_floats(width, 2), bias = random_floats(width, 3);
    for (float offset : {0.f, 1.f}) {
      Heads h(width);
      RmsNormParams p{h.shape, h.x.data(), weight.data(), h.got.data(), 1e-5f, offset};
      rms_norm(p);
      p.y = h.want.data();
      rms_norm_ref(p);
      expect_close(h.got, h.want, 1e-6f, 1e-6f);
    }
    Heads h(width);
    LayerNormParams p{h.shape, h.x.data(), weight.data(), bias.data(), h.got.data(), 1e-5f};
    layer_norm(p);
    p.y = h.want.data();
    layer_norm_ref(p);
    expect_close(h.got, h.want, 2e-6f, 4e-6f);
  }
}

TEST_P(RowsOnEveryTarget, RopeAgreesWithTheOracleAndWorksInPlace) {
  for (int64_t width : {2, 10, 64, 80, 256}) {
    SCOPED_TRACE(width);
    Heads h(width);
    const Floats angle = random_floats(h.shape.rows * width / 2, 4, 2);
    Floats cos(angle), sin(angle);
    for (float& v : cos) v = std::cos(v);
    for (float& v : sin) v = std::sin(v);
    RopeParams p{h.shape, h.x.data(), cos.data(), sin.data(), h.got.data()};
    rope_half_split(p);
    p.y = h.want.data();
    rope_half_split_ref(p);
    expect_close(h.got, h.want, 1e-6f, 1e-6f);
    p.y = h.x.data();
    p.shape.y_stride = p.shape.x_stride;
    rope_half_split(p);
    EXPECT_EQ(std::memcmp(h.x.data(), h.got.data(), 3 * width * sizeof(float)), 0);
  }
}

TEST_P(RowsOnEveryTarget, GatedActivationsAgreeWithTheOracleForLargeAndSmallInputs) {
  for (int64_t width : {1, 13, 48, 1536}) {
    SCOPED_TRACE(width);
    Floats x = random_floats(3 * 2 * width, 5, 4);
    const float special[] = {0, 1e-4f, -1e-4f, 30, -30, 89, -89, 1000, -1000};
    for (size_t i = 0; i < std::size(special) && i < static_cast<size_t>(width); ++i)
      x[i] = special[i];
    Floats got(3 * width), want(3 * width);
    using Kernel = void (*)(const GatedParams&);
    const Kernel pairs[][2] = {{silu_mul, silu_mul_ref}, {gelu_tanh_mul, gelu_tanh_mul_ref}};
    for (const auto& [kernel, ref] : pairs) {
      GatedParams p{3, width, x.data(), 2 * width, got.data(), width};
      kernel(p);
      p.y = want.data();
      ref(p);
      expect_close(got, want, 2e-6f, 1e-6f);
    }
  }
}

TEST_P(RowsOnEveryTarget, ElementwiseFunctionsAgreeWithPlainLoops) {
  for (int64_t n : {1, 15, 16, 17, 1000, 70001}) {
    SCOPED_TRACE(n);
    const Floats x = random_floats(n, 6, 40), y = random_floats(n, 7);
    Floats sum = x, scaled = x, capped = x;
    add(sum.data(), y.data(), n);
    scale(scaled.data(), 1.7f, n);
    softcap(capped.data(), 30, n);
    for (int64_t i = 0; i < n; ++i) {
      ASSERT_EQ(sum[i], x[i] + y[i]) << i;
      ASSERT_EQ(scaled[i], x[i] * 1.7f) << i;
      ASSERT_NEAR(capped[i], 30 * std::tanh(double{x[i]} / 30), 1e-5) << i;
    }
  }
}

TEST_P(RowsOnEveryTarget, ARowHasTheSameBitsInEveryCallAndOnAnyNumberOfThreads) {
  const int64_t rows = 200, width = 100;
  Heads h(width, rows);
  const Floats weight = random_floats(width, 2), bias = random_floats(width, 3);
  const Floats cos = random_floats(rows * width, 4), sin = random_floats(rows * width, 5);
  // Every operation on `n` rows from `first` on.
  const auto run = [&](int64_t first, int64_t n, float* y) {
    RowShape shape = h.shape;
    shape.rows = n;
    const float* x = h.x.data() + first * shape.x_stride;
    const int64_t size = shape.y_stride * rows, at = first * shape.y_stride;
    rms_norm({shape, x, weight.data(), y + at, 1e-5f});
    layer_norm({shape, x, weight.data(), bias.data(), y + size + at, 1e-5f});
    const int64_t angle = first * width / 2;
    rope_half_split({shape, x, cos.data() + angle, sin.data() + angle, y + 2 * size + at});
    silu_mul({n, width, x, shape.x_stride, y + 3 * size + at, shape.y_stride});
    gelu_tanh_mul({n, width, x, shape.x_stride, y + 4 * size + at, shape.y_stride});
  };
  set_num_threads(1);
  Floats one_by_one(5 * rows * h.shape.y_stride), together(one_by_one);
  for (int64_t r = 0; r < rows; ++r) run(r, 1, one_by_one.data());
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    run(0, rows, together.data());
    ASSERT_EQ(std::memcmp(together.data(), one_by_one.data(), together.size() * sizeof(float)), 0)
        << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, RowsOnEveryTarget,
                         testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& info) { return hwy::TargetName(info.param); });

}  // namespace
}  // namespace dsrasq::kernels
