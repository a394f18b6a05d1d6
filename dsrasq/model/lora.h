#pragma once

// An adapter's low-rank addition beside one linear layer of the model.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "dsrasq/ops/linear.h"
#include "dsrasq/retriever/adapter_lora.h"

namespace dsrasq::model {

/// y += B (A x), for a layer that may be several stacked by rows (q, k and v), of which any may
/// have an addition. On the CPU both products are the batch-invariant fp32 ones
/// (kernels/packed_linear.h).
class LowRankAddition {
 public:
  LowRankAddition() = default;

  struct Part {
    retriever::LowRank values;  ///< may be undefined
    int64_t n_out = 0;          ///< rows of this part of the layer
  };
  struct Target {
    std::string name;  ///< for errors, e.g. "lora.3.o"
    int64_t n_in = 0;
    at::Device device = at::kCPU;
    at::ScalarType dtype = at::kFloat;
    bool packed = false;  ///< for the CPU kernels; else gradients reach the values
  };
  /// Throws kBadInput naming the target where a part does not fit.
  LowRankAddition(const std::vector<Part>& parts, const Target& target);

  /// What to add for `x` `[T, in]`: `[T, sum of out]`.
  at::Tensor operator()(const at::Tensor& x) const { return up_(down_(x)); }
  explicit operator bool() const { return static_cast<bool>(down_); }
  size_t bytes() const { return *this ? down_.bytes() + up_.bytes() : 0; }

 private:
  ops::Linear down_, up_;
};

}  // namespace dsrasq::model
