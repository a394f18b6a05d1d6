#pragma once

// The stages of one training (design 4.1): the retriever's warm-up, the joint training and the
// policy gradient, each usable alone, one after the other on the same text.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "dsrasq/train/joint_trainer.h"
#include "dsrasq/train/retriever_trainer.h"

namespace dsrasq::train {

struct StagedTrainOptions : JointTrainOptions {
  std::string stages;  ///< a list of warmup, joint and rl; empty: as `steps` and `rl.steps` say
  int64_t warmup_stage_steps = 3000;
  double warmup_stage_share = 0.4;  ///< of a time budget

  template <class Visit>
  void visit(Visit&& visit) {
    visit(
        stages, "stages",
        "of warmup (the retriever alone), joint and rl (the policy gradient) those to run, e.g. "
        "warmup,joint (rl with 200 steps where --rl-steps is 0); default: joint where --steps and "
        "rl where --rl-steps are not 0");
    visit_warmup_stage(visit);
    JointTrainOptions::visit(visit);
  }
  template <class Visit>
  void visit_warmup_stage(Visit&& visit) {
    visit(warmup_stage_steps, "warmup-stage-steps", "optimiser steps of the stage warmup");
    visit(warmup_stage_share, "warmup-stage-share",
          "share of a time budget that goes to the stage warmup, where joint follows");
  }
};

struct Stages {
  bool warmup = false, joint = false, rl = false;
};

/// Throws kInvalidArgument for a list that is none, and for stages and steps that contradict each
/// other.
Stages stages_of(const StagedTrainOptions& options);

struct StagedInput {
  JointInput start;          ///< with the adapter to start from, if any
  std::string adapter_path;  ///< of that adapter; the warm-up goes on from it
};

/// What a run will take, before it starts.
struct StagedPlan {
  std::optional<TrainPlan> warmup;
  std::optional<JointPlan> joint;  ///< and the policy gradient
  double total_seconds = 0;
};
StagedPlan plan_staged_training(const StagedInput& input, const StagedTrainOptions& options);

/// One of the two is set.
struct StagedProgress {
  const TrainProgress* warmup = nullptr;
  const JointProgress* joint = nullptr;
};

struct StagedResult {
  std::optional<TrainResult> warmup;  ///< unless it was done before this process began
  std::optional<JointResult> joint;
  std::string adapter;  ///< path
};

/// Trains stage after stage and writes the adapter, whose record holds those of all of them. The
/// warm-up keeps its checkpoints and its adapter in RUN_FOLDER/warmup, the others theirs in the run
/// folder; a stopped run goes on from wherever it was. Throws as train_retriever and train_joint
/// do, for the options of all stages before the first one starts.
StagedResult train_staged(const StagedInput& input, const StagedTrainOptions& options,
                          const std::function<void(const StagedProgress&)>& progress = nullptr);

}  // namespace dsrasq::train
