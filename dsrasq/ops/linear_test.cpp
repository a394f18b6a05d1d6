#include "dsrasq/ops/linear.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

namespace dsrasq::ops {
namespace {

TEST(LinearTest, WeightsThatAreHalvesTakeHalfTheMemoryAndGiveTheSameBits) {
  const at::Tensor halves = at::randn({96, 64}).to(at::kHalf).to(at::kFloat);
  const at::Tensor third = at::full({96, 64}, 1 / 3.f);  // no half: all stay in fp32
  const Linear as_halves = Linear::packed(halves),
               as_floats = Linear::packed(at::cat({halves, third}));
  EXPECT_EQ(as_halves.bytes() * 4, as_floats.bytes());
  for (const int64_t n : {1, 3, 20}) {
    const at::Tensor x = at::randn({n, 64});
    EXPECT_TRUE(as_halves(x).equal(as_floats(x).narrow(1, 0, 96))) << n;
    EXPECT_TRUE(at::allclose(as_floats(x), at::linear(x, at::cat({halves, third})), 1e-4, 1e-4))
        << n;
  }
}

}  // namespace
}  // namespace dsrasq::ops
