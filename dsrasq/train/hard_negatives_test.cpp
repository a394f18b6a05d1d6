#include "dsrasq/train/hard_negatives.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>
#include <string>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/stretch_sampler.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kBlock = 16;

// Documents of consecutive ids, 1000 d + i, in blocks of 16; of each block the neighbours are those
// at its place in all other documents.
class HardNegativesTest : public FolderTest {
 protected:
  void make(const std::vector<int32_t>& lengths) {
    std::vector<std::vector<int32_t>> documents;
    for (size_t d = 0; d < lengths.size(); ++d) {
      documents.emplace_back(static_cast<size_t>(lengths[d]));
      std::iota(documents.back().begin(), documents.back().end(), static_cast<int32_t>(1000 * d));
    }
    write_token_cache(folder_ / "tokens", "v", "s", documents);
    cache_ = std::make_unique<TokenCache>(folder_ / "tokens");
    blocks_ = text_blocks(*cache_, kBlock);
    const auto width = static_cast<int64_t>(lengths.size()) - 1;
    std::vector<Neighbour> neighbours;
    for (const TextBlock& block : blocks_) {
      std::vector<Neighbour> row;
      for (size_t i = 0; i < blocks_.size(); ++i)
        if (blocks_[i].document != block.document && place(blocks_[i]) == place(block))
          row.push_back({static_cast<int32_t>(i), 0.5F});
      row.resize(static_cast<size_t>(width));
      neighbours.insert(neighbours.end(), row.begin(), row.end());
    }
    write_neighbour_table(folder_ / "index",
                          {.kind = "flat",
                           .text = identify(*cache_),
                           .block = kBlock,
                           .n_blocks = static_cast<int64_t>(blocks_.size()),
                           .dimensions = 1,
                           .n_neighbours = width},
                          neighbours, {});
    table_ = std::make_unique<NeighbourTable>(folder_ / "index");
  }
  int64_t place(const TextBlock& block) const {
    return (block.begin - cache_->begin(block.document)) / kBlock;
  }
  HardNegatives negatives(std::vector<bool> may_use, std::vector<int32_t> prefix = {}) const {
    return {*cache_,
            *table_,
            {.may_use = std::move(may_use), .prefix = std::move(prefix), .min_distance = 20}};
  }

  std::unique_ptr<TokenCache> cache_;
  std::unique_ptr<NeighbourTable> table_;
  std::vector<TextBlock> blocks_;
};

// Whether tokens [begin, end) are a piece of one document.
bool goes_on(const std::vector<int32_t>& ids, int64_t begin, int64_t end) {
  for (int64_t i = begin + 1; i < end; ++i)
    if (ids[static_cast<size_t>(i)] != ids[static_cast<size_t>(i) - 1] + 1) return false;
  return true;
}

TEST_F(HardNegativesTest, BetweenABlockAndItsDocumentsNextStandItsNeighbours) {
  make({400, 400, 400, 400, 400});
  const HardNegatives negatives = this->negatives({true, true, true, true, false}, {7});
  const InterruptionSizes sizes{.length = 200, .planted = 40};
  negatives.check(sizes);
  std::set<int64_t> counts, leads;
  for (uint64_t i = 0; i < 200; ++i) {
    CounterRng rng(1, i, 0);
    const InterruptedText text = negatives.draw(sizes, rng);
    ASSERT_EQ(text.ids.size(), 200u);
    EXPECT_EQ(text.ids[0], 7);
    const auto id = [&](int64_t at) { return text.ids[static_cast<size_t>(at)]; };
    EXPECT_EQ(text.gold.end - text.gold.begin, kBlock);
    EXPECT_EQ(id(text.gold.begin) % 1000 % kBlock, 0);
    EXPECT_TRUE(goes_on(text.ids, 1, text.gold.end));
    EXPECT_EQ(text.negatives.begin, text.gold.end);
    EXPECT_EQ(id(text.negatives.end), id(text.gold.end - 1) + 1);  // its document goes on
    EXPECT_TRUE(goes_on(text.ids, text.negatives.end, 200));
    EXPECT_LE(text.negatives.end + kBlock, 160);
    std::set<int32_t> documents{id(text.gold.begin) / 1000, 4};  // 4 may not be used
    for (int64_t at = text.negatives.begin; at < text.negatives.end; at += kBlock) {
      EXPECT_EQ(id(at) % 1000, id(text.gold.begin) % 1000) << "no neighbour of the block";
      EXPECT_TRUE(documents.insert(id(at) / 1000).second) << "a document twice";
      EXPECT_TRUE(goes_on(text.ids, at, at + kBlock));
    }
    counts.insert((text.negatives.end - text.negatives.begin) / kBlock);
    leads.insert(text.gold.begin);
  }
  EXPECT_EQ(counts, (std::set<int64_t>{2, 3}));  // 20 tokens are two blocks; three neighbours
  EXPECT_GT(leads.size(), 20u);
}

TEST_F(HardNegativesTest, AreAFunctionOfTheirNumbers) {
  make({400, 400, 400});
  const HardNegatives negatives = this->negatives({true, true, true});
  CounterRng a(1, 2, 3), b(1, 2, 3), c(1, 2, 4);
  const InterruptionSizes sizes{.length = 200};
  const InterruptedText first = negatives.draw(sizes, a);
  EXPECT_EQ(first.ids, negatives.draw(sizes, b).ids);
  EXPECT_NE(first.ids, negatives.draw(sizes, c).ids);
}

TEST_F(HardNegativesTest, TextsThatCannotBeMadeAreRefusedWithTheOptions) {
  make({400, 400, 400});
  EXPECT_HAS(error_text(
                 [&] {
                   negatives({true, true, true}).check({.length = 63});
                 },
                 ErrorCode::kInvalidArgument),
             "stretches of 63 tokens have no room for 2 blocks of --negatives (16 tokens each)");
  EXPECT_HAS(error_text([&] {
               negatives({true, true, false}).check({.length = 100});
             }),
             "none of the 75 blocks to train on has 2 whole neighbours");
  EXPECT_HAS(error_text([&] {
               negatives({true, true, true}).check({.length = 433});
             }),
             "401 tokens of its own document");
}

TEST_F(HardNegativesTest, TheSamplerAsksForTheGoldBlockBehindTheNegatives) {
  make({900, 900, 900, 900, 900});  // the last is held out
  StretchOptions options{.length = 300,
                         .long_length = 600,
                         .long_share = 0.3,
                         .recall_share = 0,
                         .recall = {.facts = 0, .echoes = 1, .min_distance = 20},
                         .negatives = table_.get(),
                         .negatives_share = 1,
                         .seed = 3};
  const StretchSampler sampler(*cache_, nullptr, options);
  for (int64_t step = 0; step < 100; ++step) {
    const Stretch stretch = sampler.training(step, 0);
    ASSERT_EQ(static_cast<int64_t>(stretch.ids.size()), sampler.training_length(step));
    EXPECT_EQ(stretch.ids, sampler.training(step, 0).ids);
    ASSERT_FALSE(stretch.answer.empty());
    ASSERT_EQ(stretch.focus.size(), stretch.sources.size());
    std::set<int32_t> documents;
    for (const int32_t id : stretch.ids) documents.insert(id / 1000);
    EXPECT_GE(documents.size(), 3u);
    EXPECT_FALSE(documents.contains(4));
    for (const int64_t at : stretch.answer) {
      const auto here = stretch.ids.begin() + at;
      const auto source = std::find(stretch.ids.begin(), here, *here);
      ASSERT_NE(source, here) << "not in the stretch before";
      const auto [low, high] = std::minmax_element(
          source, here, [](int32_t a, int32_t b) { return a / 1000 < b / 1000; });
      EXPECT_NE(*low / 1000, *high / 1000) << "no other document between";
    }
  }
  options.negatives_share = 0;
  const StretchSampler none(*cache_, nullptr, options);
  EXPECT_TRUE(none.training(0, 0).answer.empty());
  // Held-out stretches are the same with negatives and without.
  EXPECT_EQ(sampler.held_out(0, true).ids, none.held_out(0, true).ids);
}

}  // namespace
}  // namespace dsrasq::train
