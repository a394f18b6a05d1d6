#include "dsrasq/prepare/block_neighbours.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dsrasq::prepare {
namespace {

// Directions in a plane, by angle in degrees, each with the document that it is of.
struct Plane {
  explicit Plane(const std::vector<std::pair<int64_t, double>>& angles) {
    vectors.n = static_cast<int64_t>(angles.size());
    vectors.dimensions = 2;
    for (const auto& [document, angle] : angles) {
      blocks.push_back({.document = document});
      vectors.values.push_back(static_cast<float>(std::cos(angle * M_PI / 180)));
      vectors.values.push_back(static_cast<float>(std::sin(angle * M_PI / 180)));
    }
  }
  IndexedBlocks text() const { return {blocks, vectors}; }

  std::vector<train::TextBlock> blocks;
  BlockVectors vectors;
};

// Finds by looking at all, at most `limit` of them: an index that is worse than it could be.
class PlainIndex : public VectorIndex {
 public:
  PlainIndex(const BlockVectors& vectors, int64_t limit) : vectors_(vectors), limit_(limit) {}
  int64_t size() const override { return vectors_.n; }
  int64_t dimensions() const override { return vectors_.dimensions; }
  std::string bytes() const override { return ""; }
  std::vector<int64_t> search(const VectorRows& queries, int64_t k) const override {
    largest_k = std::max(largest_k, k);
    std::vector<int64_t> found;
    for (int64_t q = 0; q < queries.n; ++q) {
      std::vector<std::pair<float, int64_t>> all;
      for (int64_t i = 0; i < size(); ++i)
        all.emplace_back(
            -similarity(queries.data + q * queries.dimensions, vectors_.row(i), queries.dimensions),
            i);
      std::sort(all.begin(), all.end());
      for (int64_t i = 0; i < k; ++i)
        found.push_back(i < limit_ ? all[static_cast<size_t>(i)].second : -1);
    }
    return found;
  }

  mutable int64_t largest_k = 0;

 private:
  const BlockVectors& vectors_;
  int64_t limit_;
};

std::vector<int32_t> numbers(std::span<const train::Neighbour> neighbours) {
  std::vector<int32_t> blocks;
  for (const train::Neighbour& one : neighbours) blocks.push_back(one.block);
  return blocks;
}

TEST(BlockNeighbours, AreOfOtherDocumentsNearestFirstAndNoCopies) {
  const Plane plane({{0, 0}, {0, 1}, {1, 2}, {1, 40}, {2, 20}, {2, 150}, {3, 20}});
  const auto rules = NeighbourRules{.n = 4, .max_similarity = 0.999};
  const PlainIndex index(plane.vectors, 100);
  const auto found = find_neighbours(plane.text(), index, rules, nullptr);
  ASSERT_EQ(found.size(), 28u);
  const auto row = [&](size_t i) { return std::span(found).subspan(4 * i, 4); };
  // 2 is too much like block 0, 5 points away from it.
  EXPECT_EQ(numbers(row(0)), (std::vector<int32_t>{4, 6, 3, -1}));
  EXPECT_NEAR(row(0)[0].similarity, std::cos(20 * M_PI / 180), 1e-6);
  EXPECT_EQ(numbers(row(5)), (std::vector<int32_t>{-1, -1, -1, -1}));  // 110 degrees from the next
  for (size_t i = 0; i < plane.blocks.size(); ++i) {
    const auto exact = exact_neighbours(plane.text(), static_cast<int64_t>(i), rules);
    const auto mine = numbers(row(i));
    EXPECT_EQ(numbers(exact), std::vector<int32_t>(
                                  mine.begin(), mine.begin() + static_cast<int64_t>(exact.size())));
  }
}

TEST(BlockNeighbours, CopiesCountWhereNothingIsTooMuchAlike) {
  std::vector<std::pair<int64_t, double>> angles;
  for (int i = 0; i < 90; ++i) angles.emplace_back(2 * i, i), angles.emplace_back(2 * i + 1, i);
  const Plane plane(angles);
  for (int64_t i = 0; i < plane.vectors.n; ++i) {
    const auto nearest = exact_neighbours(plane.text(), i, {.n = 1});
    ASSERT_EQ(numbers(nearest), (std::vector<int32_t>{static_cast<int32_t>(i ^ 1)}));
    EXPECT_LE(nearest[0].similarity, 1);
  }
}

TEST(BlockNeighbours, AreLookedForBeyondALongDocument) {
  std::vector<std::pair<int64_t, double>> angles;
  for (int i = 0; i < 200; ++i) angles.emplace_back(0, 0.01 * i);
  for (int i = 0; i < 3; ++i) angles.emplace_back(1, 60 + i);
  const Plane plane(angles);
  const PlainIndex index(plane.vectors, 1000);
  const auto found = find_neighbours(plane.text(), index, {.n = 2}, nullptr);
  EXPECT_EQ(numbers(std::span(found).first(2)), (std::vector<int32_t>{200, 201}));
  EXPECT_EQ(index.largest_k, 203);
  // One that finds no more is not asked for more.
  const PlainIndex lazy(plane.vectors, 10);
  find_neighbours(plane.text(), lazy, {.n = 2}, nullptr);
  EXPECT_EQ(lazy.largest_k, 18);
}

TEST(BlockNeighbours, FiguresSayWhatAnIndexMisses) {
  std::vector<std::pair<int64_t, double>> angles;
  for (int i = 0; i < 60; ++i) angles.emplace_back(i, i);
  const Plane plane(angles);
  const NeighbourRules rules{.n = 16};
  const PlainIndex all(plane.vectors, 1000), few(plane.vectors, 6);  // itself and five
  const auto figures = [&](const VectorIndex& index) {
    return neighbour_figures(plane.text(), find_neighbours(plane.text(), index, rules, nullptr),
                             rules, 1000);
  };
  EXPECT_EQ(figures(all).recall, 1);
  EXPECT_EQ(figures(few).recall, 0.5);
  EXPECT_EQ(figures(all).n_checked, 60);
  EXPECT_NEAR(figures(all).nearest, std::cos(M_PI / 180), 1e-6);
  EXPECT_GT(figures(few).neighbours, figures(all).neighbours);
  EXPECT_GT(figures(all).neighbours, figures(all).random);
}

}  // namespace
}  // namespace dsrasq::prepare
