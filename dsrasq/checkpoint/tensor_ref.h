#pragma once

// A weight of a checkpoint where it lies in the file, and its values as fp32.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "dsrasq/formats/ggml_type.h"

namespace dsrasq::checkpoint {

/// A matrix `[rows, cols]`, or a vector as `[1, cols]`, in the open checkpoint that lent it.
///
/// The converter of GGUF files stores q and k of llama models with the rows of each head in another
/// order: the two halves of a head, which RoPE rotates with each other, alternate. Everything here
/// speaks of *logical* rows, in the half-split order that the rest of the program uses;
/// `storage_row` says where a logical row lies.
struct TensorRef {
  std::string name;  ///< canonical, e.g. "blk.0.attn_q.weight"
  formats::GgmlType type = formats::GgmlType::kF32;
  int64_t rows = 0, cols = 0;
  const std::byte* data = nullptr;  ///< rows one after another; no alignment promised
  bool interleaved_rope = false;    ///< stored in the converter's order
  int64_t head_dim = 0;             ///< D, where interleaved_rope

  int64_t row_bytes() const { return formats::ggml_row_bytes(type, cols); }
  int64_t size_bytes() const { return rows * row_bytes(); }
  int64_t n_weights() const { return rows * cols; }
  bool is_vector() const { return rows == 1; }
};

/// The stored row that holds logical row `row`; for an interleaved vector, the stored weight that
/// holds logical weight `row`.
int64_t storage_row(const TensorRef& tensor, int64_t row);

/// The `n_rows` logical rows from `first_row` on, as fp32, to `dst` ([n_rows, cols]).
void rows_to_float(const TensorRef& tensor, int64_t first_row, int64_t n_rows, float* dst);

/// All of it, `[rows, cols]`.
std::vector<float> to_float(const TensorRef& tensor);

}  // namespace dsrasq::checkpoint
