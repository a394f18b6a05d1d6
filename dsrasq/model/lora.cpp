#include "dsrasq/model/lora.h"

#include <ATen/Functions.h>

#include "dsrasq/core/error.h"

namespace dsrasq::model {

LowRankAddition::LowRankAddition(const std::vector<Part>& parts, const Target& target) {
  std::vector<at::Tensor> downs, ups;
  const auto options = at::TensorOptions().dtype(at::kFloat).device(target.device);
  for (const Part& part : parts) {
    if (!part.values.defined()) {
      ups.push_back(at::zeros({part.n_out, 0}, options));
      continue;
    }
    const at::Tensor &a = part.values.a, &b = part.values.b;
    DSRASQ_CHECK(a.size(1) == target.n_in && b.size(0) == part.n_out, kBadInput, "model.lora",
                 target.name, " leads from ", a.size(1), " to ", b.size(0),
                 " features, the model's layer from ", target.n_in, " to ", part.n_out);
    downs.push_back(a.to(target.device));
    ups.push_back(b.to(target.device));
  }
  if (downs.empty()) return;
  // The parts' own columns only: what belongs to another part is multiplied by zero.
  const at::Tensor down = at::cat(downs), up = at::block_diag(ups);
  if (target.packed) {
    down_ = ops::Linear::packed(down);
    up_ = ops::Linear::packed(up);
  } else {
    down_ = ops::Linear::dense(down.to(target.dtype));
    up_ = ops::Linear::dense(up.to(target.dtype));
  }
}

}  // namespace dsrasq::model
