#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "dsrasq/kernels/vector_math_test.cpp"
#include "dsrasq/kernels/simd_targets.h"

#include <hwy/foreach_target.h>  // before highway.h
#include <hwy/highway.h>

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <limits>
#include <vector>

#include "dsrasq/kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dsrasq::kernels::HWY_NAMESPACE {

void exp_of_each(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = hn::GetLane(exp_of(hn::Set(FloatTag(), x[i])));
}

void exp_below_zero_of_each(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = hn::GetLane(exp_below_zero(hn::Set(FloatTag(), x[i])));
}

void tanh_of_each(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = hn::GetLane(tanh_of(hn::Set(FloatTag(), x[i])));
}

}  // namespace dsrasq::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dsrasq::kernels {
namespace {

HWY_EXPORT(exp_of_each);
HWY_EXPORT(exp_below_zero_of_each);
HWY_EXPORT(tanh_of_each);

/// Runs `body` with every instruction set of this machine.
template <class Body>
void on_every_target(const Body& body) {
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

std::vector<float> grid(float from, float to, int n) {
  std::vector<float> x;
  for (int i = 0; i < n; ++i) x.push_back(from + (to - from) * static_cast<float>(i) / n);
  return x;
}

TEST(VectorMath, ExpIsWithinTwoUnitsInTheLastPlaceAndTheSameOnEveryInstructionSet) {
  const std::vector<float> x = grid(-87, 88, 20011);
  std::vector<float> y(x.size()), first;
  on_every_target([&] {
    HWY_DYNAMIC_DISPATCH(exp_of_each)(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
      const double want = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(y[i] / want, 1.0, 2.4e-7) << x[i];
    }
    if (first.empty()) first = y;
    EXPECT_EQ(y, first);
  });
}

TEST(VectorMath, ExpIsExactWhereMasksAndMaximaNeedIt) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0f, -0.0f, -infinity, -1000.0f, std::nanf("")};
  std::vector<float> y(x.size());
  on_every_target([&] {
    HWY_DYNAMIC_DISPATCH(exp_of_each)(x.data(), y.data(), static_cast<int64_t>(x.size()));
    EXPECT_EQ(y, (std::vector<float>{1, 1, 0, 0, 0}));
  });
}

TEST(VectorMath, ExpBelowZeroIsWithinTwoUnitsInTheLastPlaceAndExactAtTheEnds) {
  std::vector<float> x = grid(-87.25f, 0, 20011);
  const size_t n_close = x.size();
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float end : {0.0f, -0.0f, -infinity, -1e30f, -87.4f, std::nanf("")}) x.push_back(end);
  std::vector<float> y(x.size());
  on_every_target([&] {
    HWY_DYNAMIC_DISPATCH(exp_below_zero_of_each)
    (x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < n_close; ++i) {
      const double want = std::exp(static_cast<double>(x[i]));
      ASSERT_NEAR(y[i] / want, 1.0, 2.4e-7) << x[i];
    }
    EXPECT_EQ(std::vector<float>(y.begin() + static_cast<std::ptrdiff_t>(n_close), y.end()),
              (std::vector<float>{1, 1, 0, 0, 0, 0}));
  });
}

TEST(VectorMath, TanhIsCloseAndKeepsTheSign) {
  const std::vector<float> x = grid(-12, 12, 5003);
  std::vector<float> y(x.size());
  on_every_target([&] {
    HWY_DYNAMIC_DISPATCH(tanh_of_each)(x.data(), y.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(y[i], std::tanh(x[i]), 2e-7) << x[i];
  });
}

}  // namespace
}  // namespace dsrasq::kernels
#endif
