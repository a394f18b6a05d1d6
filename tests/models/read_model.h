#pragma once

// Loading a model and reading token ids with it, as the tests of this folder do.

#include <ATen/Functions.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/checkpoint/checkpoint.h"
#include "dsrasq/model/transformer.h"

namespace dsrasq {

inline model::Transformer load_model(const std::string& path, bool packed = true) {
  return model::Transformer(*checkpoint::Checkpoint::open(path), {.packed = packed});
}

/// Reads ids `[T]` (Long) in calls of `cuts` tokens in turn (or fewer, where the policy stops
/// before) and hands each call's first position and final states `[t, E]` to `on_states`.
template <class OnStates>
void read_in_cuts(const model::Transformer& model, policy::Policy& policy, const at::Tensor& ids,
                  const std::vector<int64_t>& cuts, const OnStates& on_states) {
  const int64_t total = ids.size(0);
  size_t turn = 0;
  for (int64_t done = 0; done < total; ++turn) {
    const int64_t n = policy.admit(std::min(cuts[turn % cuts.size()], total - done));
    on_states(done, model.forward(ids.narrow(0, done, n), policy));
    done += n;
  }
}

/// Final states of all tokens `[T, E]`.
inline at::Tensor states_in_cuts(const model::Transformer& model, policy::Policy& policy,
                                 const at::Tensor& ids, const std::vector<int64_t>& cuts) {
  at::Tensor all = at::empty({ids.size(0), model.config().n_embd});
  read_in_cuts(model, policy, ids, cuts, [&](int64_t first, const at::Tensor& states) {
    all.narrow(0, first, states.size(0)).copy_(states);
  });
  return all;
}

}  // namespace dsrasq
