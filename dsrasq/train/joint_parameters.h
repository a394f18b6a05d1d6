#pragma once

// Everything that the joint training trains, in groups with their own learning rates.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "dsrasq/policy/policy.h"
#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/joint_options.h"
#include "dsrasq/train/parameter_bank.h"
#include "dsrasq/train/student_policy.h"

namespace dsrasq::train {

/// Parameters with one learning rate.
struct ParameterGroup {
  std::string name;  ///< retriever, threshold, lora, slots, gates, budget or baseline
  ParameterBank bank;
  double learning_rate = 0;  ///< its peak; 0: the group stays as it is
  double weight_decay = 0;
  double rl_learning_rate = 0;  ///< peak in the stage of policy gradient
};

/// Of a model's linear layers, what LoRA has to know.
struct ModelSize {
  policy::AttentionShape shape;
  int64_t n_ff = 0;
};

class JointParameters {
 public:
  /// From `start` (null: a fresh retriever), which must be for the model. Throws kInvalidArgument
  /// where an option asks for another LoRA rank, other targets or other slots than it has.
  JointParameters(const ModelSize& model, const retriever::Adapter* start,
                  const JointTrainOptions& options, at::Device device);
  // The layers' parts point at each other.
  JointParameters(const JointParameters&) = delete;
  JointParameters& operator=(const JointParameters&) = delete;

  std::vector<ParameterGroup>& groups() { return groups_; }
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  int64_t count() const;

  /// For a StudentPolicy.
  const std::vector<StudentLayer>& layers() const { return layers_; }
  /// The gradient of a layer's indexer: adding to its tensors adds to the group's.
  retriever::IndexerParameters& indexer_gradient(int64_t layer) { return gradients_.at(layer); }
  /// With `b` scaled; gradients flow back to the parameters.
  retriever::LoraByLayer lora() const;

  /// The heads that choose how many tokens are retrieved; empty until they are trained.
  const retriever::BudgetByLayer& budgets() const { return budgets_; }
  /// What a moving-average baseline keeps `[2]`; nothing without policy gradient.
  at::Tensor baseline_state() const { return groups_.back().bank.leaf(0).detach(); }

  /// Instead of those that were trained, by layer; the adapter then has them.
  void set_thresholds(const std::map<int64_t, float>& thresholds);

  int64_t index_heads() const { return n_heads_; }
  int64_t d_max() const { return d_max_; }
  /// What an adapter file holds of them; base model and record are left out.
  retriever::Adapter adapter() const;

 private:
  void add_retriever(const retriever::Adapter* start, const JointTrainOptions& o,
                     at::Device device);
  void add_lora(const retriever::Adapter* start, const JointTrainOptions& o, at::Device device);
  void add_slots(const retriever::Adapter* start, const JointTrainOptions& o, at::Device device);
  void add_budgets(const retriever::Adapter* start, const JointTrainOptions& o, at::Device device);

  ModelSize model_;
  retriever::Adapter start_;
  int64_t n_heads_ = 4, head_dim_ = 32, d_max_ = 0;
  double lora_scale_ = 1;
  bool has_thresholds_ = false;  // worth keeping
  std::vector<int64_t> retriever_layers_;
  std::vector<ParameterGroup> groups_;
  std::vector<StudentLayer> layers_;
  std::map<int64_t, retriever::IndexerParameters> indexers_, gradients_;
  std::map<int64_t, SlotTensors> slots_;
  retriever::BudgetByLayer budgets_;
  retriever::LoraByLayer lora_;  // leaves
};

}  // namespace dsrasq::train
