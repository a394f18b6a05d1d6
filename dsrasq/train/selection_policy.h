#pragma once

// How a retriever explores (design 4.1, step 2): three random ways to choose a set S of candidates
// for every query, each with the exact log-probability of what it chose. Every function takes R
// queries at once, on any device and in any floating type, and is differentiable in the logits.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

#include "dsrasq/retriever/adapter_budget.h"

namespace dsrasq::train {

/// The logit of a candidate that a query does not see: it is never chosen and costs nothing.
constexpr double kNoCandidate = -1e30;

/// A generator on `device` whose draws are a function of `seed` alone.
at::Generator seeded_generator(at::Device device, uint64_t seed);
/// Standard Gumbel noise of the shape, type and device of `like`.
at::Tensor gumbel_noise(const at::Tensor& like, at::Generator& generator);

/// Candidate j joins with probability sigmoid(u_j / temperature), independently of the others.
struct BernoulliPolicy {
  double temperature = 1;

  /// Of `u` `[R, N]`: `[R, N]` bool.
  at::Tensor sample(const at::Tensor& u, at::Generator& generator) const;
  /// Of the sets `picked` `[R, N]` bool: `[R]`.
  at::Tensor log_probability(const at::Tensor& u, const at::Tensor& picked) const;
  at::Tensor expected_size(const at::Tensor& u) const;  ///< E|S| `[R]`
  at::Tensor entropy(const at::Tensor& u) const;        ///< `[R]`
};

/// Candidates with logits u_j and one STOP with logit 0 run a race; those before STOP, at most
/// `most` of them, are chosen in their order (Gumbel top-k: Kool et al. 2019).
struct RacePolicy {
  int64_t most = 64;

  /// Of `u` `[R, N]`: the columns in their order `[R, min(most, N)]` Long, N from STOP on.
  at::Tensor sample(const at::Tensor& u, at::Generator& generator) const;
  /// Of ordered choices, as `sample` gives them: `[R]`. Minus its mean is the entropy, which has no
  /// closed form.
  at::Tensor log_probability(const at::Tensor& u, const at::Tensor& order) const;
  /// Each candidate is before STOP with probability sigmoid(u): the sum is E|S| when nothing is cut
  /// off at `most`, and an upper bound otherwise. `[R]`
  at::Tensor expected_size(const at::Tensor& u) const;
  /// An ordered choice as a set `[R, n_candidates]` bool.
  static at::Tensor picked(const at::Tensor& order, int64_t n_candidates);
};

/// A small head (retriever/budget_head.h) chooses |S| among retriever::kBudgetSizes; S is then the
/// best of that number.
struct BudgetPolicy {
  /// A size for every query, as its index `[R]` Long.
  static at::Tensor sample(const at::Tensor& logits, at::Generator& generator);
  static at::Tensor log_probability(const at::Tensor& logits, const at::Tensor& choice);
  /// E|S| `[R]` where a query has `n_candidates` `[R]` to choose among.
  static at::Tensor expected_size(const at::Tensor& logits, const at::Tensor& n_candidates);
  static at::Tensor entropy(const at::Tensor& logits);
  /// All of them `[n_sizes]`, Long, on the device of `like`.
  static at::Tensor all_sizes(const at::Tensor& like);
  /// The sizes that the indices stand for, Long.
  static at::Tensor sizes(const at::Tensor& choice);
};

}  // namespace dsrasq::train
