#pragma once

// What runs on a GPU: the policy with kernels where this program was built with them and they know
// the options, else the one that masks.

#include <memory>

#include "dsrasq/policy/factory.h"

namespace dsrasq::policy {

/// As `make_policy`, of any policy but the baselines; `options.max_distance` is set.
std::unique_ptr<Policy> make_gpu_policy(const PolicyOptions& options, const AttentionShape& shape,
                                        const retriever::Adapter* adapter, at::Device device);

}  // namespace dsrasq::policy
