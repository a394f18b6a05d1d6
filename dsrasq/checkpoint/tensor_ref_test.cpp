#include "dsrasq/checkpoint/tensor_ref.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/formats/test_folder.h"

namespace dsrasq::checkpoint {
namespace {

TensorRef ref_of(const std::vector<float>& weights, int64_t rows) {
  TensorRef tensor;
  tensor.name = "t";
  tensor.rows = rows;
  tensor.cols = static_cast<int64_t>(weights.size()) / rows;
  tensor.data = reinterpret_cast<const std::byte*>(weights.data());
  return tensor;
}

TEST(TensorRef, RowsComeInTheOrderOfTheFile) {
  const std::vector<float> weights{0, 1, 2, 3, 4, 5};
  const TensorRef tensor = ref_of(weights, 3);
  EXPECT_EQ(to_float(tensor), weights);
  std::vector<float> two(4);
  rows_to_float(tensor, 1, 2, two.data());
  EXPECT_EQ(two, (std::vector<float>{2, 3, 4, 5}));
  EXPECT_EQ(tensor.size_bytes(), 24);
}

TEST(TensorRef, AnInterleavedMatrixComesInHalfSplitOrder) {
  // Two heads of four rows: a head's rows 0 1 2 3 hold the pairs (0, 2), (1, 3) in the file.
  const std::vector<float> stored{0, 2, 1, 3, 4, 6, 5, 7};
  TensorRef tensor = ref_of(stored, 8);
  tensor.interleaved_rope = true;
  tensor.head_dim = 4;
  EXPECT_EQ(to_float(tensor), (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(storage_row(tensor, 1), 2);
  EXPECT_EQ(storage_row(tensor, 6), 5);
}

TEST(TensorRef, AnInterleavedBiasComesInHalfSplitOrder) {
  const std::vector<float> stored{0, 2, 1, 3, 4, 6, 5, 7};
  TensorRef tensor = ref_of(stored, 1);
  tensor.interleaved_rope = true;
  tensor.head_dim = 4;
  EXPECT_EQ(to_float(tensor), (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(TensorRef, RowsThatAreNotThereAreRefused) {
  const std::vector<float> weights(6);
  std::vector<float> out(6);
  const auto rows = [&](int64_t first, int64_t n) {
    return error_text([&] { rows_to_float(ref_of(weights, 3), first, n, out.data()); },
                      ErrorCode::kInvalidArgument);
  };
  EXPECT_HAS(rows(2, 2), "rows 2 to 4 of tensor t, which has 3");
  EXPECT_HAS(rows(-1, 1), "rows -1 to 0 of tensor t");
  EXPECT_HAS(rows(0, -1), "rows 0 to -1 of tensor t");
}

class RealTensors : public testing::TestWithParam<const char*> {};

// The golden file: tools/make_golden_formats.py.
TEST_P(RealTensors, RowsAreThoseOfTheGgufPackage) {
  const auto path = std::filesystem::path("models") / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << path;
  const auto model = Checkpoint::open(path);
  const auto golden =
      nlohmann::json::parse(read_file("tests/golden/checkpoint_rows.json"))[GetParam()];
  ASSERT_GT(golden.size(), 20u);
  for (const auto& want : golden) {
    const std::string name = want["tensor"];
    const TensorRef& tensor = model->require(name);
    ASSERT_EQ(formats::ggml_type_name(tensor.type), want["type"].get<std::string>()) << name;
    ASSERT_EQ(tensor.rows, want["shape"][0]) << name;
    ASSERT_EQ(tensor.cols, want["shape"][1]) << name;
    std::vector<float> row(static_cast<size_t>(tensor.cols));
    rows_to_float(tensor, want["row"], 1, row.data());
    for (size_t i = 0; i < want["first"].size(); ++i) {
      EXPECT_EQ(row[i], want["first"][i].get<float>()) << name << ' ' << want["row"] << ' ' << i;
    }
    double sum = 0;
    for (const float x : row) sum += x;
    EXPECT_NEAR(sum, want["sum"].get<double>(), 1e-9) << name << ' ' << want["row"];
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RealTensors,
                         testing::Values("SmolLM2-135M-Instruct.Q4_1.gguf",
                                         "gemma-3-270m.Q4_K_M.gguf"),
                         [](const auto& info) { return info.index == 0 ? "SmolLM2" : "Gemma3"; });

}  // namespace
}  // namespace dsrasq::checkpoint
