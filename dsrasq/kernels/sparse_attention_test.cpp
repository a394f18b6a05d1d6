#include "dsrasq/kernels/sparse_attention.h"

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
  int64_t pos0, n, n_sink, window;
  int32_t d_max, k;
  float softcap;
  friend std::ostream& operator<<(std::ostream& out, const Dims& s) {
    return out << 'H' << s.H << "_Hkv" << s.Hkv << "_D" << s.D << "_pos" << s.pos0 << "_n" << s.n
               << "_sinks" << s.n_sink << "_W" << s.window << "_dmax" << s.d_max << "_k" << s.k
               << "_cap" << s.softcap;
  }
};

/// A memory that holds random tokens, queries at the end of them, and random selections.
struct Case {
  explicit Case(const Dims& dims) : s(dims), rng(11) {
    const int64_t D = s.D, half = D / 2;
    std::vector<double> inv_freq(half);
    for (int64_t c = 0; c < half; ++c)
      inv_freq[c] = std::pow(10000.0, -static_cast<double>(c) / half);
    cos.resize((s.d_max + 1) * half);
    sin.resize(cos.size());
    fill_rope_table(inv_freq.data(), static_cast<int32_t>(half), s.d_max, cos.data(), sin.data());
    fill_ring();
    sink_k = normals(s.Hkv * s.n_sink * D);
    sink_v = normals(s.Hkv * s.n_sink * D);
    fill_pool();
    q = normals(s.n * s.H * D);
    q_raw = normals(s.n * s.H * D);
  }

  std::vector<float> normals(int64_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> x(n);
    for (float& value : x) value = normal(rng);
    return x;
  }

  // What lies beside the live tokens is not a number, so that a read of it shows.
  void fill_ring() {
    n_tiles = (s.window + s.n) / 16 + 2;
    const float nan = std::numeric_limits<float>::quiet_NaN();
    ring_k.assign(s.Hkv * n_tiles * 16 * s.D, nan);
    ring_v.assign(ring_k.size(), nan);
    const int64_t first = std::max<int64_t>(0, s.pos0 - s.window + 1);
    const int64_t n = s.pos0 + s.n - first;
    const std::vector<float> k = normals(n * s.Hkv * s.D), v = normals(n * s.Hkv * s.D);
    store_kv_tiles({ring_k.data(), ring_v.data(), n_tiles, s.Hkv, s.D}, k.data(), v.data(), first,
                   n);
  }

  void fill_pool() {
    const int64_t n_pages = 40;
    for (int64_t page = 0; page < n_pages; ++page) first_position.push_back(page * 16);
    std::shuffle(first_position.begin(), first_position.end(), rng);
    n_slots = n_pages * 16;
    for (std::vector<int8_t>* codes : {&pool_k, &pool_v}) {
      codes->resize(s.Hkv * n_slots * s.D);
      for (int8_t& c : *codes)
        c = static_cast<int8_t>(std::uniform_int_distribution<int>(-127, 127)(rng));
    }
    for (int64_t i = 0; i < s.Hkv * n_slots; ++i) {
      pool_k_scale.push_back(std::uniform_real_distribution<float>(0.001f, 0.02f)(rng));
      pool_v_scale.push_back(std::uniform_real_distribution<float>(0.001f, 0.02f)(rng));
    }
    selected.assign(s.n * s.k, -1);
    for (int64_t i = 0; i < s.n; ++i) {
      std::vector<std::pair<int64_t, int32_t>> visible;
      for (int32_t slot = 0; slot < n_slots; ++slot) {
        const int64_t at = first_position[slot / 16] + slot % 16;
        if (at >= s.n_sink && at <= s.pos0 + i - s.window) visible.emplace_back(at, slot);
      }
      std::shuffle(visible.begin(), visible.end(), rng);
      const int most = i % 4 == 3 ? 0 : static_cast<int>(rng() % (s.k + 1));
      visible.resize(std::min<size_t>(visible.size(), most));
      std::sort(visible.begin(), visible.end());
      n_selected.push_back(static_cast<int32_t>(visible.size()));
      for (size_t c = 0; c < visible.size(); ++c) selected[i * s.k + c] = visible[c].second;
    }
  }

  SparseAttentionParams params(std::vector<float>& out, std::vector<float>& mass,
                               std::vector<float>& pool_mass) {
    SparseAttentionParams p{.memory = {.ring = {ring_k.data(), ring_v.data(), n_tiles, s.Hkv, s.D},
                                       .sink_k = sink_k.data(),
                                       .sink_v = sink_v.data(),
                                       .n_sink = s.n_sink,
                                       .pool_k = pool_k.data(),
                                       .pool_v = pool_v.data(),
                                       .pool_k_scale = pool_k_scale.data(),
                                       .pool_v_scale = pool_v_scale.data(),
                                       .page_first_position = first_position.data(),
                                       .n_slots = n_slots},
                            .rope = {cos.data(), sin.data(), s.d_max},
                            .q = q.data(),
                            .q_raw = q_raw.data(),
                            .out = out.data(),
                            .n = s.n,
                            .pos0 = s.pos0,
                            .H = s.H,
                            .window = s.window,
                            .scale = 1.0f / std::sqrt(static_cast<float>(s.D)),
                            .softcap = s.softcap,
                            .k = s.k,
                            .selected = selected.data(),
                            .n_selected = n_selected.data(),
                            .retrieved_mass = mass.data(),
                            .pool_mass = pool_mass.data()};
    return p;
  }

  Dims s;
  std::mt19937 rng;
  int64_t n_tiles = 0, n_slots = 0;
  std::vector<float> cos, sin, ring_k, ring_v, sink_k, sink_v, pool_k_scale, pool_v_scale, q, q_raw;
  std::vector<int8_t> pool_k, pool_v;
  std::vector<int64_t> first_position;
  std::vector<int32_t> selected, n_selected;
};

struct Result {
  explicit Result(const Dims& s)
      : out(s.n * s.H * s.D, -1.0f), mass(s.n * s.k, -1.0f), pool_mass(s.n, -1.0f) {}
  std::vector<float> out, mass, pool_mass;
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// A call of queries i .. i + n - 1 of `all`.
SparseAttentionParams part_of(const SparseAttentionParams& all, const Dims& s, int64_t i,
                              int64_t n) {
  SparseAttentionParams part = all;
  part.n = n;
  part.pos0 += i;
  part.q += i * s.H * s.D;
  part.q_raw += i * s.H * s.D;
  part.out += i * s.H * s.D;
  part.selected += i * s.k;
  part.n_selected += i;
  part.retrieved_mass += i * s.k;
  part.pool_mass += i;
  return part;
}

class SparseAttention : public testing::TestWithParam<Dims> {
 protected:
  void TearDown() override {
    set_num_threads(2);
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

TEST_P(SparseAttention, EveryInstructionSetAgreesWithTheReference) {
  const Dims s = GetParam();
  Case c(s);
  Result want(s);
  sparse_attention_ref(c.params(want.out, want.mass, want.pool_mass));
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    SCOPED_TRACE(hwy::TargetName(target));
    Result got(s);
    sparse_attention(c.params(got.out, got.mass, got.pool_mass));
    for (size_t i = 0; i < want.out.size(); ++i)
      ASSERT_NEAR(got.out[i], want.out[i], 2e-5f) << "element " << i;
    for (size_t i = 0; i < want.mass.size(); ++i)
      ASSERT_NEAR(got.mass[i], want.mass[i], 1e-5f * s.H) << "selected token " << i;
    for (size_t i = 0; i < want.pool_mass.size(); ++i)
      ASSERT_NEAR(got.pool_mass[i], want.pool_mass[i], 1e-5f * s.H) << "query " << i;
  }
}

TEST_P(SparseAttention, BitsDoNotDependOnTheCallsOrOnTheThreads) {
  const Dims s = GetParam();
  Case c(s);
  for (const int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    SCOPED_TRACE(hwy::TargetName(target));
    set_num_threads(1);
    Result want(s);
    sparse_attention(c.params(want.out, want.mass, want.pool_mass));
    for (const int n_threads : {1, 3}) {
      set_num_threads(n_threads);
      for (const int64_t step : {int64_t{1}, int64_t{5}, int64_t{23}, s.n}) {
        Result got(s);
        const SparseAttentionParams all = c.params(got.out, got.mass, got.pool_mass);
        for (int64_t i = 0; i < s.n; i += step)
          sparse_attention(part_of(all, s, i, std::min(step, s.n - i)));
        EXPECT_TRUE(same_bits(got.out, want.out)) << n_threads << " threads, " << step << " a call";
        EXPECT_TRUE(same_bits(got.mass, want.mass));
        EXPECT_TRUE(same_bits(got.pool_mass, want.pool_mass));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, SparseAttention,
    testing::Values(Dims{9, 3, 64, 700, 37, 4, 64, 300, 40, 0},
                    Dims{9, 3, 64, 0, 70, 4, 32, 20, 8, 0},      // from the first token on
                    Dims{6, 2, 80, 513, 19, 3, 50, 100, 33, 0},  // half of D: no full vector
                    Dims{4, 4, 128, 300, 11, 0, 17, 64, 20, 0},  // no sinks, one head a KV head
                    Dims{8, 1, 256, 640, 9, 5, 96, 500, 16, 30},
                    Dims{2, 2, 16, 90, 33, 40, 16, 1000, 12, 5},  // sinks reach into the window
                    Dims{5, 1, 32, 600, 3, 2, 20, 90, 0, 0},      // nothing can be selected
                    Dims{3, 1, 48, 480, 70, 4, 64, 400, 60, 0},   // two bases in one call
                    Dims{1, 1, 16, 560, 40, 4, 64, 560, 64, 0},   // one head, d_max passed midway
                    Dims{2, 1, 112, 600, 40, 4, 8, 100, 50, 0},   // selected after the base
                    Dims{7, 1, 64, 400, 20, 1, 100, 17, 30, 0},   // small distances, seven heads
                    Dims{4, 2, 240, 600, 33, 20, 33, 0, 20, 0}),  // all at one distance
    testing::PrintToStringParamName());

TEST(SparseAttentionOptions, WithoutASelectionOnlySinksAndWindowAreRead) {
  const Dims s{4, 2, 32, 200, 10, 4, 48, 100, 8, 0};
  Case c(s);
  Result want(s), got(s);
  SparseAttentionParams p = c.params(want.out, want.mass, want.pool_mass);
  p.k = 0;
  p.selected = nullptr;
  p.n_selected = nullptr;
  p.retrieved_mass = nullptr;
  sparse_attention_ref(p);
  p.out = got.out.data();
  p.pool_mass = nullptr;
  sparse_attention(p);
  for (size_t i = 0; i < want.out.size(); ++i) ASSERT_NEAR(got.out[i], want.out[i], 2e-5f);
  EXPECT_EQ(want.pool_mass, std::vector<float>(s.n, 0.0f));
}

// Queries at distances d_max - 1, d_max and d_max + 1 of the same tokens, which a call of many
// queries turns once for all of them and a call of one query turns by itself.
TEST(SparseAttentionDistances, TheLongestDistanceIsPassedTokenByToken) {
  const Dims s{6, 2, 32, 500, 48, 3, 32, 420, 16, 0};
  Case c(s);
  for (int64_t i = 0; i < s.n; ++i) {
    c.n_selected[i] = s.k;
    for (int32_t item = 0; item < s.k; ++item) {
      const int64_t position = s.pos0 - s.d_max + 16 + 2 * item;
      const auto page =
          std::find(c.first_position.begin(), c.first_position.end(), position / 16 * 16);
      c.selected[i * s.k + item] =
          static_cast<int32_t>((page - c.first_position.begin()) * 16 + position % 16);
    }
  }
  Result want(s), got(s), alone(s);
  sparse_attention_ref(c.params(want.out, want.mass, want.pool_mass));
  sparse_attention(c.params(got.out, got.mass, got.pool_mass));
  for (size_t i = 0; i < want.out.size(); ++i)
    ASSERT_NEAR(got.out[i], want.out[i], 2e-5f) << "element " << i;
  for (int64_t i = 0; i < s.n; ++i)
    sparse_attention(part_of(c.params(alone.out, alone.mass, alone.pool_mass), s, i, 1));
  EXPECT_TRUE(same_bits(alone.out, got.out));
  EXPECT_TRUE(same_bits(alone.mass, got.mass));
}

TEST(SparseAttentionCuts, RandomShapesGiveTheSameBitsForRandomCuts) {
  std::mt19937 rng(5);
  const auto any = [&](int64_t first, int64_t last) {
    return std::uniform_int_distribution<int64_t>(first, last)(rng);
  };
  for (int round = 0; round < 12; ++round) {
    const auto Hkv = static_cast<int32_t>(any(1, 3));
    const Dims s{.H = Hkv * static_cast<int32_t>(any(1, 4)),
                 .Hkv = Hkv,
                 .D = static_cast<int32_t>(any(1, 16)) * 16,
                 .pos0 = any(100, 560),
                 .n = any(17, 64),
                 .n_sink = any(0, 20),
                 .window = any(1, 90),
                 .d_max = static_cast<int32_t>(any(0, 600)),
                 .k = static_cast<int32_t>(any(1, 70)),
                 .softcap = 0};
    SCOPED_TRACE(testing::PrintToString(s));
    Case c(s);
    Result reference(s), want(s), got(s);
    sparse_attention_ref(c.params(reference.out, reference.mass, reference.pool_mass));
    sparse_attention(c.params(want.out, want.mass, want.pool_mass));
    for (size_t i = 0; i < want.out.size(); ++i)
      ASSERT_NEAR(want.out[i], reference.out[i], 2e-5f) << "element " << i;
    for (int64_t i = 0, n = 0; i < s.n; i += n) {
      n = std::min(any(1, 40), s.n - i);
      sparse_attention(part_of(c.params(got.out, got.mass, got.pool_mass), s, i, n));
    }
    EXPECT_TRUE(same_bits(got.out, want.out));
    EXPECT_TRUE(same_bits(got.mass, want.mass));
    EXPECT_TRUE(same_bits(got.pool_mass, want.pool_mass));
  }
}

}  // namespace
}  // namespace dsrasq::kernels
