#pragma once

// The student of the joint training as a policy: a stretch of text in one call, attending as at
// inference, with gradients. The model's own forward pass runs around it.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "dsrasq/train/stretch_policy.h"
#include "dsrasq/train/student_attention.h"
#include "dsrasq/train/student_slots.h"

namespace dsrasq::train {

/// The trained parts of one layer; without an indexer it attends to its window alone.
struct StudentLayer {
  const retriever::IndexerParameters* indexer = nullptr;
  at::Tensor threshold;                ///< tau `[1]`
  const SlotTensors* slots = nullptr;  ///< null: none
};

struct StudentOptions {
  StudentRules rules;
  int64_t n_heads = 4;  ///< of the indexers
  bool fake_quantise = true;
  int64_t d_max = 0;
  int64_t block = 512;  ///< m
};

class StudentPolicy final : public StretchPolicy {
 public:
  /// Sees the layer's index and normalised input `[T, E]` before it attends.
  using Visit = std::function<void(int64_t layer, const at::Tensor& x)>;

  /// `layers` has an entry for every layer of the model. `shape` and `angles` must outlive
  /// the policy.
  StudentPolicy(const policy::AttentionShape& shape, const StudentOptions& options,
                std::vector<StudentLayer> layers, AngleCache& angles, Visit visit = nullptr)
      : StretchPolicy("student"),
        shape_(shape),
        options_(options),
        layers_(std::move(layers)),
        angles_(angles),
        visit_(std::move(visit)) {}

  at::Tensor attend(const policy::LayerInput& input) override;

  /// Means over tokens and retrieving layers, scalars on the device: |S|, and E|S| with its
  /// gradient (undefined unless the rules want it).
  at::Tensor picked() const { return picked_.div(static_cast<double>(n_queries_)); }
  at::Tensor expected() const {
    return expected_.defined() ? expected_.div(static_cast<double>(n_queries_)) : expected_;
  }

 private:
  const policy::AttentionShape& shape_;
  StudentOptions options_;
  std::vector<StudentLayer> layers_;
  AngleCache& angles_;
  Visit visit_;
  int64_t n_queries_ = 0;
  at::Tensor picked_, expected_;
};

}  // namespace dsrasq::train
