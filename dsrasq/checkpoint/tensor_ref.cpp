#include "dsrasq/checkpoint/tensor_ref.h"

#include "dsrasq/core/error.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/formats/dequantize.h"

namespace dsrasq::checkpoint {
namespace {

constexpr int64_t kGrainWeights = 1 << 16;

}  // namespace

int64_t storage_row(const TensorRef& tensor, int64_t row) {
  if (!tensor.interleaved_rope) return row;
  const int64_t half = tensor.head_dim / 2;
  const int64_t head = row / tensor.head_dim, within = row % tensor.head_dim;
  return head * tensor.head_dim + within % half * 2 + within / half;
}

void rows_to_float(const TensorRef& tensor, int64_t first_row, int64_t n_rows, float* dst) {
  DSRASQ_CHECK(first_row >= 0 && n_rows >= 0 && first_row <= tensor.rows - n_rows, kInvalidArgument,
               "checkpoint.tensor_ref", "rows ", first_row, " to ", first_row + n_rows,
               " of tensor ", tensor.name, ", which has ", tensor.rows);
  const int64_t row_bytes = tensor.row_bytes();
  if (tensor.is_vector() && tensor.interleaved_rope) {
    std::vector<float> stored(static_cast<size_t>(tensor.cols));
    formats::dequantize(tensor.type, tensor.data, tensor.cols, stored.data());
    for (int64_t i = 0; i < tensor.cols * n_rows; ++i) {
      dst[i] = stored[static_cast<size_t>(storage_row(tensor, i))];
    }
    return;
  }
  for (int64_t i = 0; i < n_rows; ++i) {
    const std::byte* src = tensor.data + storage_row(tensor, first_row + i) * row_bytes;
    formats::dequantize(tensor.type, src, tensor.cols, dst + i * tensor.cols);
  }
}

std::vector<float> to_float(const TensorRef& tensor) {
  std::vector<float> weights(static_cast<size_t>(tensor.n_weights()));
  const int64_t grain = 1 + kGrainWeights / tensor.cols;
  parallel_for(tensor.rows, grain, [&](int64_t begin, int64_t end) {
    rows_to_float(tensor, begin, end - begin, weights.data() + begin * tensor.cols);
  });
  return weights;
}

}  // namespace dsrasq::checkpoint
