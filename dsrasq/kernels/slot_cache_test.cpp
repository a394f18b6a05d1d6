#include "dsrasq/kernels/slot_cache.h"

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

std::vector<float> normals(int64_t n, float sigma, std::mt19937& rng) {
  std::normal_distribution<float> normal(0, sigma);
  std::vector<float> x(n);
  for (float& value : x) value = normal(rng);
  return x;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

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

struct Dims {
  int64_t m, r, n;
  int32_t H, Hkv, D;
  friend std::ostream& operator<<(std::ostream& out, const Dims& s) {
    return out << 'm' << s.m << "_r" << s.r << "_n" << s.n << "_H" << s.H << "_Hkv" << s.Hkv << "_D"
               << s.D;
  }
};

class SlotCache : public testing::TestWithParam<Dims> {
 protected:
  SlotCache() : s(GetParam()), rng(9), d(s.Hkv * s.D), n_filled(s.r) {}
  void TearDown() override { set_num_threads(2); }

  SlotReadParams read_params(std::vector<float>& out) {
    return {.q = q.data(),
            .packed_slot_k = packed.data(),
            .slot_v = slot_v.data(),
            .gate = gate.data(),
            .out = out.data(),
            .n = s.n,
            .r = s.r,
            .n_filled = n_filled,
            .H = s.H,
            .n_kv_heads = s.Hkv,
            .D = s.D,
            .scale = 1.0f / std::sqrt(static_cast<float>(s.D))};
  }

  void make_read_case() {
    q = normals(s.n * s.H * s.D, 1, rng);
    slot_v = normals(s.Hkv * s.r * s.D, 1, rng);
    gate = normals(s.H, 1, rng);
    gate[0] = 0;
    packed.resize(packed_slot_floats(s.Hkv, s.r, s.D));
    pack_slot_keys(normals(s.Hkv * s.r * s.D, 1, rng).data(), s.Hkv, s.r, s.D, packed.data());
    start = normals(s.n * s.H * s.D, 1, rng);
  }

  Dims s;
  std::mt19937 rng;
  int64_t d, n_filled;
  std::vector<float> q, slot_v, gate, packed, start;
};

// Weights from the tokens, from their places with every other token gone, and a single slot that is
// replaced.
TEST_P(SlotCache, FoldAgreesWithTheReferenceAndDoesNotDependOnTheThreads) {
  const std::vector<float> k = normals(s.m * d, 1, rng), v = normals(s.m * d, 1, rng);
  const std::vector<float> u_k = normals(d * s.r, 0.1f, rng), u_v = normals(d * s.r, 0.1f, rng);
  const std::vector<float> a_k = normals(2 * s.m * s.r, 1, rng),
                           a_v = normals(2 * s.m * s.r, 1, rng);
  const std::vector<float> before = normals(s.r * d, 1, rng);
  std::vector<float> beta(s.r);
  for (int64_t slot = 0; slot < s.r; ++slot) beta[slot] = 0.9f + 0.099f * slot / s.r;
  std::vector<int64_t> places(s.m);
  for (int64_t i = 0; i < s.m; ++i) places[i] = 2 * i + 1;
  const SlotFoldParams content{.k = k.data(),
                               .v = v.data(),
                               .u_k = u_k.data(),
                               .u_v = u_v.data(),
                               .places = nullptr,
                               .beta = beta.data(),
                               .slots = nullptr,
                               .m = s.m,
                               .d = d,
                               .r = s.r,
                               .first = 0,
                               .count = s.r};
  SlotFoldParams position = content, rotate = content;
  position.places = places.data(), position.u_k = a_k.data(), position.u_v = a_v.data();
  rotate.beta = nullptr, rotate.first = s.r - 2, rotate.count = 1;
  for (SlotFoldParams p : {content, position, rotate}) {
    std::vector<float> want = before, got;
    p.slots = want.data();
    fold_slots_ref(p);
    on_every_target([&] {
      set_num_threads(1);
      got = before;
      p.slots = got.data();
      fold_slots(p);
      for (size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-5f) << i;
      set_num_threads(3);
      std::vector<float> threaded = before;
      p.slots = threaded.data();
      fold_slots(p);
      EXPECT_TRUE(same_bits(threaded, got));
    });
  }
}

TEST_P(SlotCache, ReadAgreesWithTheReference) {
  make_read_case();
  for (const int64_t n : {s.r, s.r / 2, int64_t{1}}) {
    n_filled = n;
    std::vector<float> want = start;
    read_slots_ref(read_params(want));
    on_every_target([&] {
      std::vector<float> got = start;
      read_slots(read_params(got));
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(got[i], want[i], 2e-6f * 10) << i << " of " << n << " slots";
    });
  }
}

TEST_P(SlotCache, ReadBitsDoNotDependOnTheCallsOrOnTheThreads) {
  make_read_case();
  set_num_threads(1);
  std::vector<float> want = start;
  read_slots(read_params(want));
  set_num_threads(3);
  for (const int64_t step : {int64_t{1}, int64_t{5}, s.n}) {
    std::vector<float> got = start;
    for (int64_t i = 0; i < s.n; i += step) {
      SlotReadParams part = read_params(got);
      part.q += i * s.H * s.D;
      part.out += i * s.H * s.D;
      part.n = std::min(step, s.n - i);
      read_slots(part);
    }
    EXPECT_TRUE(same_bits(got, want)) << step << " queries a call";
  }
}

TEST_P(SlotCache, GatesOfZeroLeaveTheOutputAloneWhateverTheSlotsHold) {
  make_read_case();
  std::fill(gate.begin(), gate.end(), 0.0f);
  std::fill(slot_v.begin(), slot_v.end(), std::numeric_limits<float>::quiet_NaN());
  std::vector<float> got = start;
  read_slots(read_params(got));
  EXPECT_TRUE(same_bits(got, start));
}

INSTANTIATE_TEST_SUITE_P(Shapes, SlotCache,
                         testing::Values(Dims{512, 128, 9, 9, 3, 64}, Dims{37, 21, 11, 6, 2, 80},
                                         Dims{64, 5, 1, 4, 4, 16}, Dims{16, 16, 30, 8, 1, 256}),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace dsrasq::kernels
