#pragma once

// The parameters of all indexers in one matrix, a row for each retriever layer, so that the
// optimiser, the clipping and a checkpoint see one tensor.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dsrasq/retriever/adapter.h"

namespace dsrasq::train {

struct IndexerSize {
  int64_t n_embd = 0;
  int64_t n_heads = 4;
  int64_t head_dim = 32;
};

/// Parameters, or gradients, of some indexers.
class IndexerBank {
 public:
  /// Zeros `[L, P]`, fp32, on `device`, for the given retriever layers.
  IndexerBank(const IndexerSize& size, std::vector<int64_t> layers, at::Device device);

  /// Values as a fresh training starts from.
  void randomise(uint64_t seed);
  /// Row `i` becomes these values.
  void set(int64_t i, retriever::IndexerParameters values);

  const std::vector<int64_t>& layers() const { return layers_; }
  at::Tensor& matrix() { return matrix_; }
  const at::Tensor& matrix() const { return matrix_; }
  /// Row `i` as parameters: views, so that writing to them writes to the matrix.
  retriever::IndexerParameters& indexer(int64_t i) { return views_[static_cast<size_t>(i)]; }
  const retriever::IndexerParameters& indexer(int64_t i) const {
    return views_[static_cast<size_t>(i)];
  }

 private:
  IndexerSize size_;
  std::vector<int64_t> layers_;
  at::Tensor matrix_;  // [L, P]
  std::vector<retriever::IndexerParameters> views_;
};

}  // namespace dsrasq::train
