#pragma once

// One reading of a stretch in which layers choose at random what they retrieve, and afterwards the
// log-probabilities of what they chose, with gradients for what chose it.

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "dsrasq/train/policy_gradient.h"
#include "dsrasq/train/selection_policy.h"
#include "dsrasq/train/student_policy.h"

namespace dsrasq::train {

enum class SelectionKind { kBudget, kRace, kBernoulli };

struct RolloutOptions {
  SelectionKind kind = SelectionKind::kBudget;
  bool samples = true;  ///< false: every layer takes its greedy choice, and nothing is kept
  Exploration exploration;
  double temperature = 1;  ///< of the bernoulli policy
  int64_t top_k = 64;      ///< most tokens of a race, and of the greedy choice of all but budget
  int64_t n_heads = 4;     ///< of the indexers
  bool fake_quantise = true;
};

/// Query rows of a stretch whose choices are learned from, ascending and all with candidates.
struct RolloutRows {
  std::vector<int64_t> positions;
  at::Tensor on_device;  ///< the same, Long
  int64_t sinks = 0, window = 0;
};

/// What one layer's choices say, over R rows; with gradients.
struct ChoiceTerms {
  at::Tensor positions;        ///< `[R]` Long
  at::Tensor log_probability;  ///< `[R]`
  at::Tensor explored;         ///< `[R]` bool: whether the choice was drawn
  at::Tensor expected_size;    ///< E|S| `[R]`
  at::Tensor entropy;          ///< `[R]`; undefined for a race, whose entropy has no closed form
};

class SelectionRollout {
 public:
  /// `layers` as for the student, `heads` the budget heads by layer; both must outlive the rollout.
  SelectionRollout(const RolloutOptions& options, const std::vector<StudentLayer>& layers,
                   const retriever::BudgetByLayer& heads, at::Generator generator);
  SelectionRollout(const SelectionRollout&) = delete;  // the student calls back
  SelectionRollout& operator=(const SelectionRollout&) = delete;

  /// For the student that reads; they refer to this rollout.
  StudentPolicy::Visit visit();
  Pick pick();

  /// Layers that chose, after the reading.
  std::vector<int64_t> layers() const;
  /// Of one of them. For a budget all rows from the first of `rows` on are used, which costs
  /// nothing; for the others those of `rows`.
  ChoiceTerms terms(int64_t layer, const RolloutRows& rows) const;

 private:
  struct Part {  // a chunk of rows
    int64_t begin = 0, end = 0;
    at::Tensor action;    // [R, ...]: see the policies
    at::Tensor explored;  // [R] bool
    at::Tensor features;  // [R, F] of a budget
  };
  struct Choices {
    at::Tensor x;  // [T, E]
    std::vector<Part> parts;
  };
  at::Tensor choose_budget(const PoolScores& pool, Part& part);
  at::Tensor choose_tokens(const PoolScores& pool, Part& part);
  ChoiceTerms budget_terms(int64_t layer, const Choices& choices, const RolloutRows& rows) const;
  ChoiceTerms token_terms(int64_t layer, const Choices& choices, const RolloutRows& rows) const;

  RolloutOptions options_;
  const std::vector<StudentLayer>& layers_;
  const retriever::BudgetByLayer& heads_;
  at::Generator generator_;
  int64_t layer_ = -1;
  at::Tensor x_;
  std::map<int64_t, Choices> choices_;
};

}  // namespace dsrasq::train
