#include "dsrasq/train/recall_share.h"

#include <ATen/Functions.h>
#include <gtest/gtest.h>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/train/counter_rng.h"

namespace dsrasq::train {
namespace {

constexpr TeacherOptions kTeacher{.sinks = 2, .window = 16, .d_max = 0};

// Ids with three details that are recalled at nine places, one of them too near.
RecallStretch some_stretch(int64_t vocabulary) {
  RecallStretch stretch;
  CounterRng rng(7, 0, 0);
  for (int i = 0; i < 160; ++i) stretch.ids.push_back(static_cast<int32_t>(rng.below(vocabulary)));
  const TokenRange details[] = {{10, 22}, {40, 44}, {60, 90}};
  for (int64_t i = 0; i < 9; ++i) {
    stretch.focus.push_back(100 + 6 * i);  // the first is within the window of the last detail
    stretch.sources.push_back(details[(i + 2) % 3]);
  }
  return stretch;
}

// The same by plain loops over the attention that the teacher reports.
std::map<int64_t, double> plain_shares(const model::Transformer& model,
                                       const RecallStretch& stretch) {
  std::vector<int64_t> rows, from;
  for (size_t i = 0; i < stretch.focus.size(); ++i)
    if (stretch.focus[i] - kTeacher.window >= stretch.sources[i].end) {
      rows.push_back(stretch.focus[i]);
      from.push_back(static_cast<int64_t>(i));
    }
  std::map<int64_t, double> shares;
  AngleCache angles(at::kCPU);
  TeacherPolicy policy(
      model.shape(), kTeacher, {at::tensor(rows, at::kLong), rows.back()}, angles,
      [&](int64_t layer, const at::Tensor&, const AttentionTarget& target) {
        const auto mass = target.mass.to(at::kDouble).contiguous();
        const auto share = [&](size_t row, size_t detail) {
          const TokenRange range = stretch.sources[static_cast<size_t>(from[detail])];
          double in = 0, all = 0;
          for (int64_t c = 0; c < mass.size(1); ++c) {
            const double m = mass[static_cast<int64_t>(row)][c].item<double>();
            all += m;
            if (c + target.first >= range.begin && c + target.first < range.end) in += m;
          }
          return in / all;
        };
        for (size_t r = 0; r < rows.size(); ++r) {
          const size_t other = (r + rows.size() - rows.size() / 2) % rows.size();
          shares[layer] += (share(r, r) - share(r, other)) / static_cast<double>(rows.size());
        }
      });
  model.forward(at::tensor(stretch.ids, at::kInt).to(at::kLong), policy);
  for (auto& [layer, share] : shares) share = std::max(0.0, share);
  return shares;
}

TEST(RecallShares, EqualPlainLoopsOverTheAttention) {
  const auto checkpoint = checkpoint::Checkpoint::open("tests/golden/models/llama");
  const model::Transformer model(*checkpoint, {});
  const RecallStretch stretch = some_stretch(model.config().vocab_size);
  const auto want = plain_shares(model, stretch);
  const auto got = recall_shares(model, std::span(&stretch, 1), kTeacher, 100);
  ASSERT_EQ(got.size(), want.size());
  double sum = 0;
  for (const auto& [layer, share] : got) {
    EXPECT_NEAR(share, want.at(layer), 1e-5) << "layer " << layer;
    sum += share;
  }
  EXPECT_GT(sum, 0) << "the comparison says nothing";
}

TEST(RecallShares, AreMissingWhereNothingIsRecalled) {
  const auto checkpoint = checkpoint::Checkpoint::open("tests/golden/models/llama");
  const model::Transformer model(*checkpoint, {});
  RecallStretch stretch = some_stretch(model.config().vocab_size);
  stretch.focus.clear();
  stretch.sources.clear();
  EXPECT_TRUE(recall_shares(model, std::span(&stretch, 1), kTeacher, 100).empty());
}

}  // namespace
}  // namespace dsrasq::train
