#include "dsrasq/kernels/dense_attention.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "dsrasq/core/parallel.h"

namespace dsrasq::kernels {
namespace {

struct Dims {
  int32_t H, Hkv, D;
  int64_t pos0, n, window;
  float softcap;
  friend std::ostream& operator<<(std::ostream& out, const Dims& s) {
    return out << 'H' << s.H << "_Hkv" << s.Hkv << "_D" << s.D << "_pos" << s.pos0 << "_n" << s.n
               << "_W" << s.window << "_cap" << s.softcap;
  }
};

/// A cache of random tokens; what lies beside them is not a number, so that a read of it shows.
struct Case {
  explicit Case(const Dims& dims) : s(dims), rng(5) {
    n_tiles = (s.pos0 + s.n) / 16 + 3;
    k.assign(s.Hkv * n_tiles * 16 * s.D, std::numeric_limits<float>::quiet_NaN());
    v = k;
    const int64_t n = s.pos0 + s.n;
    const std::vector<float> new_k = normals(n * s.Hkv * s.D), new_v = normals(n * s.Hkv * s.D);
    store_kv_tiles({k.data(), v.data(), n_tiles, s.Hkv, s.D}, new_k.data(), new_v.data(), 0, n);
    q = normals(s.n * s.H * s.D);
  }

  std::vector<float> normals(int64_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> x(n);
    for (float& value : x) value = normal(rng);
    return x;
  }

  DenseAttentionParams params(std::vector<float>& out) {
    return {.cache = {k.data(), v.data(), n_tiles, s.Hkv, s.D},
            .q = q.data(),
            .out = out.data(),
            .n = s.n,
            .pos0 = s.pos0,
            .H = s.H,
            .scale = 1.0f / std::sqrt(static_cast<float>(s.D)),
            .window = s.window,
            .softcap = s.softcap};
  }

  Dims s;
  std::mt19937 rng;
  int64_t n_tiles;
  std::vector<float> k, v, q;
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

class DenseAttention : public testing::TestWithParam<Dims> {
 protected:
  void TearDown() override {
    set_num_threads(2);
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

TEST_P(DenseAttention, EveryInstructionSetAgreesWithTheReference) {
  const Dims s = GetParam();
  Case c(s);
  std::vector<float> want(s.n * s.H * s.D), got(want.size());
  dense_attention_ref(c.params(want));
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    SCOPED_TRACE(hwy::TargetName(target));
    std::fill(got.begin(), got.end(), -9.0f);
    dense_attention(c.params(got));
    for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-5f) << "element " << i;
  }
}

TEST_P(DenseAttention, BitsDoNotDependOnTheCallsOrOnTheThreads) {
  const Dims s = GetParam();
  Case c(s);
  set_num_threads(1);
  std::vector<float> want(s.n * s.H * s.D);
  dense_attention(c.params(want));
  for (const int n_threads : {1, 16}) {
    set_num_threads(n_threads);
    for (const int64_t step : {int64_t{1}, int64_t{6}, s.n}) {
      std::vector<float> got(want.size(), -9.0f);
      const DenseAttentionParams all = c.params(got);
      for (int64_t i = 0; i < s.n; i += step) {
        DenseAttentionParams part = all;
        part.n = std::min(step, s.n - i);
        part.pos0 += i;
        part.q += i * s.H * s.D;
        part.out += i * s.H * s.D;
        dense_attention(part);
      }
      EXPECT_TRUE(same_bits(got, want)) << n_threads << " threads, " << step << " a call";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DenseAttention,
                         testing::Values(Dims{9, 3, 64, 1100, 35, 0, 0},
                                         Dims{6, 2, 80, 0, 50, 0, 0},
                                         Dims{4, 4, 32, 1530, 13, 700, 0},
                                         Dims{8, 1, 256, 505, 17, 64, 30},
                                         Dims{5, 1, 16, 2047, 2, 0, 5}, Dims{2, 1, 48, 0, 1, 0, 0}),
                         testing::PrintToStringParamName());

TEST(DenseAttentionOnARing, ReadsTheLastTokensWhereTheyLie) {
  const Dims s{4, 2, 32, 0, 300, 40, 0};
  Case c(s);
  std::vector<float> want(s.n * s.H * s.D);
  const std::vector<float> k = c.normals(s.n * s.Hkv * s.D), v = c.normals(s.n * s.Hkv * s.D);
  std::vector<float> ring_k(s.Hkv * 5 * 16 * s.D), ring_v = ring_k, got(s.H * s.D);
  store_kv_tiles({c.k.data(), c.v.data(), c.n_tiles, s.Hkv, s.D}, k.data(), v.data(), 0, s.n);
  dense_attention_ref(c.params(want));
  const KvTiles ring{ring_k.data(), ring_v.data(), 5, s.Hkv, s.D};
  for (int64_t i = 0; i < s.n; ++i) {
    const int64_t row = i * s.Hkv * s.D;
    store_kv_tiles(ring, k.data() + row, v.data() + row, i, 1);
    DenseAttentionParams p = c.params(got);
    p.cache = ring;
    p.q += i * s.H * s.D;
    p.pos0 = i;
    p.n = 1;
    dense_attention(p);
    for (size_t e = 0; e < got.size(); ++e)
      ASSERT_NEAR(got[e], want[i * s.H * s.D + e], 1e-5f) << "query " << i;
  }
}

}  // namespace
}  // namespace dsrasq::kernels
