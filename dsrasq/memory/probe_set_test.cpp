#include "dsrasq/memory/probe_set.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace dsrasq::memory {
namespace {

constexpr int64_t kHeads = 2, kDim = 16;

void add(ProbeSet& probes, int64_t n, int8_t code) {
  const std::vector<int8_t> codes(static_cast<size_t>(n * kHeads * kDim), code);
  const std::vector<float> ones(static_cast<size_t>(n * kHeads), 1.0f);
  probes.add(n, codes.data(), ones.data(), ones.data());
}

TEST(ProbeSet, TheLastOnesStay) {
  ProbeSet probes(kHeads, kDim);
  EXPECT_EQ(probes.size(), 0);
  add(probes, 40, 1);
  EXPECT_EQ(probes.size(), 40);
  add(probes, 40, 2);
  EXPECT_EQ(probes.size(), ProbeSet::kMaxProbes);
  EXPECT_EQ(probes.codes()[15 * kHeads * kDim], 2);
  EXPECT_EQ(probes.codes()[16 * kHeads * kDim], 1);
}

TEST(ProbeSet, AnyRestoredCountIsWithinTheRing) {
  ProbeSet probes(kHeads, kDim);
  for (const uint64_t added : {std::numeric_limits<uint64_t>::max(), uint64_t{1} << 63}) {
    probes.visit([&](const char* name, std::span<std::byte> raw) {
      if (std::string_view(name) == "probe_added") std::memcpy(raw.data(), &added, sizeof(added));
    });
    EXPECT_EQ(probes.size(), ProbeSet::kMaxProbes);
    add(probes, 3, 5);
  }
}

}  // namespace
}  // namespace dsrasq::memory
