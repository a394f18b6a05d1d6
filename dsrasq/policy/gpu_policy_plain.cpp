#include "dsrasq/policy/gpu_policy.h"
#include "dsrasq/policy/masked_policy.h"

namespace dsrasq::policy {

std::unique_ptr<Policy> make_gpu_policy(const PolicyOptions& options, const AttentionShape& shape,
                                        const retriever::Adapter* adapter, at::Device device) {
  return std::make_unique<MaskedPolicy>(options, shape, adapter, device);
}

}  // namespace dsrasq::policy
