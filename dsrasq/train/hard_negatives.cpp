#include "dsrasq/train/hard_negatives.h"

#include <algorithm>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInHardNegatives = "train.negatives";

void append_ids(std::vector<int32_t>& ids, const std::vector<int32_t>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

}  // namespace

HardNegatives::HardNegatives(const TokenCache& cache, const NeighbourTable& table,
                             HardNegativeOptions options)
    : cache_(cache),
      table_(table),
      options_(std::move(options)),
      block_(table.facts().block),
      fewest_(std::max<int64_t>(1, (options_.min_distance + block_ - 1) / block_)) {
  table.check_is_of(cache);
  blocks_ = text_blocks(cache, block_);
  DSRASQ_CHECK(static_cast<int64_t>(blocks_.size()) == table.facts().n_blocks, kBadInput,
               kInHardNegatives, "the index has ", table.facts().n_blocks, " blocks, the text ",
               blocks_.size());
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const TextBlock& block = blocks_[i];
    const auto index = static_cast<int64_t>(i);
    if (!options_.may_use[static_cast<size_t>(block.document)] || block.size() < block_) continue;
    if (static_cast<int64_t>(negatives_of(index).size()) < fewest_) continue;
    golds_.push_back({index, cache.end(block.document) - block.begin});
  }
  std::stable_sort(golds_.begin(), golds_.end(),
                   [](const Gold& a, const Gold& b) { return a.behind > b.behind; });
}

std::vector<int64_t> HardNegatives::negatives_of(int64_t block) const {
  std::vector<int64_t> negatives;
  for (const Neighbour& neighbour : table_.of(block)) {
    const TextBlock& other = blocks_[static_cast<size_t>(neighbour.block)];
    if (options_.may_use[static_cast<size_t>(other.document)] && other.size() == block_)
      negatives.push_back(neighbour.block);
  }
  return negatives;
}

int64_t HardNegatives::own_tokens(const InterruptionSizes& sizes) const {
  return sizes.length - static_cast<int64_t>(options_.prefix.size()) - fewest_ * block_;
}

// Less the gold block, and one to ask in.
int64_t HardNegatives::room(const InterruptionSizes& sizes) const {
  const int64_t stays = sizes.length - sizes.planted - static_cast<int64_t>(options_.prefix.size());
  return std::max<int64_t>(0, stays / block_ - 2);
}

int64_t HardNegatives::n_golds(const InterruptionSizes& sizes) const {
  const int64_t wanted = own_tokens(sizes);
  return std::partition_point(golds_.begin(), golds_.end(),
                              [=](const Gold& gold) { return gold.behind >= wanted; }) -
         golds_.begin();
}

void HardNegatives::check(const InterruptionSizes& sizes) const {
  DSRASQ_CHECK(room(sizes) >= fewest_, kInvalidArgument, kInHardNegatives, "stretches of ",
               sizes.length, " tokens have no room for ", fewest_, " blocks of --negatives (",
               block_, " tokens each) beside two of their own and ", sizes.planted,
               " tokens of planted details; want a longer --length");
  DSRASQ_CHECK(n_golds(sizes) > 0, kBadInput, kInHardNegatives, "none of the ", blocks_.size(),
               " blocks to train on has ", fewest_,
               " whole neighbours in other documents to train on and ", own_tokens(sizes),
               " tokens of its own document; make the --negatives index with more --neighbours, "
               "or want a shorter --length");
}

InterruptedText HardNegatives::draw(const InterruptionSizes& sizes, CounterRng& rng) const {
  const Gold& gold = golds_[static_cast<size_t>(rng.below(n_golds(sizes)))];
  std::vector<int64_t> negatives = negatives_of(gold.block);
  const int64_t most = std::min(room(sizes), static_cast<int64_t>(negatives.size()));
  // The nearest, in any order, so that no place in the text tells how near one is.
  negatives.resize(static_cast<size_t>(rng.between(fewest_, most)));
  for (size_t i = negatives.size(); i > 1; --i)
    std::swap(negatives[i - 1], negatives[static_cast<size_t>(rng.below(static_cast<int64_t>(i)))]);

  const auto n = static_cast<int64_t>(negatives.size());
  const TextBlock& block = blocks_[static_cast<size_t>(gold.block)];
  const auto prefix = static_cast<int64_t>(options_.prefix.size());
  const int64_t spare = sizes.length - sizes.planted - prefix - (n + 2) * block_;
  const int64_t before =
      rng.between(0, std::min(spare, block.begin - cache_.begin(block.document)));
  InterruptedText text{.ids = options_.prefix};
  append_ids(text.ids, cache_.read(block.begin - before, before + block_));
  text.gold = {prefix + before, prefix + before + block_};
  for (const int64_t i : negatives)
    append_ids(text.ids, cache_.read(blocks_[static_cast<size_t>(i)].begin, block_));
  text.negatives = {text.gold.end, static_cast<int64_t>(text.ids.size())};
  append_ids(text.ids, cache_.read(block.end, sizes.length - text.negatives.end));
  return text;
}

}  // namespace dsrasq::train
