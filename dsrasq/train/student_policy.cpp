#include "dsrasq/train/student_policy.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <optional>

namespace dsrasq::train {

at::Tensor StudentPolicy::attend(const policy::LayerInput& input) {
  const StudentLayer& layer = layers_[static_cast<size_t>(input.layer)];
  const DenseAttention attention = DenseAttention::of(input, shape_, options_.d_max, angles_);
  if (layer.indexer == nullptr) {
    StudentRules rules = options_.rules;
    if (attention.sliding_window > 0) rules.window = attention.sliding_window, rules.sinks = 0;
    rules.counts_expected = false;
    return attend_sparsely(attention, nullptr, rules).out;
  }
  if (visit_) visit_(input.layer, input.x);
  std::optional<StudentIndex> index;
  if (options_.rules.top_k > 0) {
    // An indexer at rest passes no gradient on either.
    const at::Tensor x = layer.indexer->key.requires_grad() ? input.x : input.x.detach();
    index = StudentIndex::of(*layer.indexer, layer.threshold, x, options_.n_heads,
                             options_.fake_quantise);
  }
  const StudentRead read = attend_sparsely(attention, index ? &*index : nullptr, options_.rules);
  n_queries_ += n_tokens();
  picked_ = picked_.defined() ? picked_ + read.picked : read.picked;
  if (read.expected.defined())
    expected_ = expected_.defined() ? expected_ + read.expected : read.expected;
  if (layer.slots == nullptr) return read.out;
  const at::Tensor from_slots = read_slots(*layer.slots, input.q, input.k, input.v, attention.scale,
                                           {.window = options_.rules.window,
                                            .sinks = options_.rules.sinks,
                                            .block = options_.block,
                                            .horizon = options_.rules.horizon,
                                            .pool = options_.rules.pool});
  return from_slots.defined() ? read.out + from_slots : read.out;
}

}  // namespace dsrasq::train
