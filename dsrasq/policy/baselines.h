#pragma once

// The published methods that dsrasq is compared with, by name: streaming-llm, h2o, tova, snapkv,
// pyramidkv, quest, razor, infini and infini-delta. docs/decisions/compared-methods.md says how
// budgets, positions and times of eviction are made comparable, and where that departs from the
// official code.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/policy/factory.h"

namespace dsrasq::policy {

const std::vector<std::string>& baseline_names();
bool is_baseline(std::string_view name);

/// Whether a baseline is trained in its paper, and runs here on the model as it is, with a constant
/// in place of what would be learned: its figures are no figures of the paper's method.
bool baseline_is_untrained(std::string_view name);

/// Throws kInvalidArgument where `options.cache` is too small for what the method needs.
void check_baseline_options(const PolicyOptions& options);

/// Whether a baseline's memory grows with the text.
bool baseline_grows(std::string_view name);
/// As policy::planned_bytes, of a baseline. For `razor` that of the most retrieval heads there are.
size_t baseline_planned_bytes(const PolicyOptions& options, const AttentionShape& shape);

/// `heads` is needed for razor only and `shape` must outlive the policy. Layers with a sliding
/// window of their own keep it.
std::unique_ptr<Policy> make_baseline(const PolicyOptions& options, const AttentionShape& shape,
                                      at::Device device, const RetrievalHeads* heads);

}  // namespace dsrasq::policy
