#include "dsrasq/prepare/vector_index.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/train/counter_rng.h"

namespace dsrasq::prepare {
namespace {

constexpr int64_t kWidth = 8;

// Directions at random around a few of them, as texts are.
std::vector<float> directions(int64_t n) {
  std::vector<float> values;
  train::CounterRng rng(1, 0, 0);
  for (int64_t i = 0; i < n; ++i) {
    std::vector<double> row;
    for (int64_t e = 0; e < kWidth; ++e)
      row.push_back(rng.uniform() - 0.5 + (i % kWidth == e ? 1.5 : 0));
    const double norm = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    for (const double value : row) values.push_back(static_cast<float>(value / norm));
  }
  return values;
}

VectorRows rows(const std::vector<float>& values) {
  return {values.data(), static_cast<int64_t>(values.size()) / kWidth, kWidth};
}

std::vector<int64_t> brute_force(const VectorRows& vectors, const float* query, int64_t k) {
  std::vector<std::pair<float, int64_t>> all;
  for (int64_t i = 0; i < vectors.n; ++i)
    all.emplace_back(-std::inner_product(query, query + kWidth, vectors.data + i * kWidth, 0.0F),
                     i);
  std::sort(all.begin(), all.end());
  std::vector<int64_t> nearest;
  for (int64_t i = 0; i < k; ++i) nearest.push_back(all[static_cast<size_t>(i)].second);
  return nearest;
}

class VectorIndexTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!has_vector_index()) GTEST_SKIP() << "built without FAISS";
  }
  const std::vector<float> values_ = directions(600);
};

TEST_P(VectorIndexTest, FindsWhatLookingAtAllVectorsFinds) {
  constexpr int64_t kNearest = 5;
  const auto index = build_vector_index(GetParam(), rows(values_));
  EXPECT_EQ(index->size(), 600);
  EXPECT_EQ(index->dimensions(), kWidth);
  const std::vector<int64_t> found = index->search(rows(values_), kNearest);
  ASSERT_EQ(found.size(), 600u * kNearest);
  int right = 0;
  for (int64_t i = 0; i < 600; ++i) {
    const auto exact = brute_force(rows(values_), values_.data() + i * kWidth, kNearest);
    const auto row = found.begin() + i * kNearest;
    for (const int64_t one : exact) right += std::count(row, row + kNearest, one) == 1;
  }
  const std::string kind = GetParam();
  EXPECT_GE(right, kind == "flat" ? 3000 : 2700) << "of 3000";
}

TEST_P(VectorIndexTest, ComesBackFromItsBytesAndIsTheSameEachTime) {
  const auto index = build_vector_index(GetParam(), rows(values_));
  const std::string bytes = index->bytes();
  EXPECT_EQ(build_vector_index(GetParam(), rows(values_))->bytes(), bytes);
  const auto read = read_vector_index(std::as_bytes(std::span(bytes.data(), bytes.size())), "it");
  EXPECT_EQ(read->search(rows(values_), 7), index->search(rows(values_), 7));
}

TEST_P(VectorIndexTest, WhatIsCutOffIsRefusedByName) {
  const std::string bytes = build_vector_index(GetParam(), rows(values_))->bytes();
  for (const size_t n : {size_t{0}, size_t{3}, size_t{40}, bytes.size() / 2, bytes.size() - 1})
    EXPECT_HAS(error_text([&] {
                 read_vector_index(std::as_bytes(std::span(bytes.data(), n)), "x.index");
               }),
               "x.index: no FAISS index: ");
}

TEST_P(VectorIndexTest, FewVectorsLeaveRoom) {
  const std::vector<float> values = directions(3);
  const auto found = build_vector_index(GetParam(), rows(values))->search(rows(values), 5);
  ASSERT_EQ(found.size(), 15u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(found[5 * i], static_cast<int64_t>(i));
    EXPECT_EQ(found[5 * i + 4], -1);
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, VectorIndexTest, testing::Values("flat", "ivf", "hnsw"),
                         [](const auto& info) { return std::string(info.param); });

TEST(VectorIndex, UnknownKindsAndProgramsWithoutItAreToldApart) {
  if (has_vector_index())
    EXPECT_HAS(error_text([] { check_vector_index("pq"); }, ErrorCode::kInvalidArgument),
               "--kind is pq, want flat, ivf or hnsw");
  else
    EXPECT_HAS(error_text([] { check_vector_index("flat"); }, ErrorCode::kUnavailable),
               "built without FAISS");
}

// FAISS brings a second BLAS into the program; see cmake/DsrasqFaiss.cmake.
TEST(VectorIndex, LibTorchCallsItsOwnMatrixProduct) {
  void* torch = dlopen("libtorch_cpu.so", RTLD_LAZY | RTLD_NOLOAD);
  ASSERT_NE(torch, nullptr);
  void* its_own = dlsym(torch, "sgemm_");
  if (its_own == nullptr) GTEST_SKIP() << "this LibTorch hides its BLAS";
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "sgemm_"), its_own);
}

}  // namespace
}  // namespace dsrasq::prepare
