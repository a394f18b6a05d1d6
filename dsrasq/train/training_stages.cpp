#include "dsrasq/train/training_stages.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/train/training_loop.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInTrainingStages = "train.stages";
constexpr int64_t kDefaultRlSteps = 200;  // where --stages names rl and --rl-steps is 0

fs::path warmup_folder(const StagedTrainOptions& options) {
  return fs::path(run_folder(options)) / "warmup";
}

// Where the warm-up's adapter goes: to the next stage, or out.
std::string warmup_output(const StagedTrainOptions& options, const Stages& stages) {
  if (!stages.joint && !stages.rl) return options.output;
  return (warmup_folder(options) / "adapter.safetensors").string();
}

RetrieverTrainOptions warmup_options(const StagedInput& input, const StagedTrainOptions& options,
                                     const Stages& stages) {
  RetrieverTrainOptions warmup;
  static_cast<RunOptions&>(warmup) = options;
  warmup.init = input.adapter_path;
  warmup.output = warmup_output(options, stages);
  warmup.run_dir = warmup_folder(options).string();
  warmup.steps = options.warmup_stage_steps;
  if (const retriever::Adapter* adapter = input.start.adapter)
    warmup.n_heads = adapter->n_heads, warmup.head_dim = adapter->head_dim;
  if (stages.joint) warmup.time_budget *= options.warmup_stage_share;
  return warmup;
}

JointTrainOptions joint_options(const JointInput& start, const StagedTrainOptions& options,
                                const Stages& stages) {
  JointTrainOptions joint = options;
  joint.run_dir = run_folder(options);
  if (stages.warmup) joint.time_budget *= 1 - options.warmup_stage_share;
  if (stages.rl && joint.rl.steps == 0) joint.rl.steps = kDefaultRlSteps;
  if (stages.joint || options.stages.empty()) return joint;
  // Changes to the weights and slots learn nothing from a policy gradient.
  joint.steps = 0;
  if (stages.warmup) joint.time_budget = 0;  // its steps are counted
  const retriever::Adapter* adapter = stages.warmup ? nullptr : start.adapter;
  if (adapter == nullptr || adapter->lora.empty()) joint.lora_rank = 0;
  if (adapter == nullptr || adapter->slots.empty()) joint.slots = 0;
  return joint;
}

// Of all stages, before the first one takes its time.
void check_stages(const StagedInput& input, const StagedTrainOptions& options,
                  const Stages& stages) {
  if (stages.warmup)
    check_retriever_options(input.start.train, warmup_options(input, options, stages));
  if (!stages.joint && !stages.rl) return;
  JointInput start = input.start;
  if (stages.warmup) start.adapter = nullptr;
  const JointTrainOptions joint = joint_options(start, options, stages);
  check_joint_options(start, joint);
  const model::Transformer& model = start.train.model;
  const JointParameters refuses_what_cannot_be({model.shape(), model.config().n_ff}, start.adapter,
                                               joint, at::kCPU);
}

// Whether the warm-up's adapter is there and was made by these options from this text.
bool is_warmed_up(const TrainInput& input, const RetrieverTrainOptions& warmup) {
  std::error_code error;
  if (!warmup.resume || !fs::exists(warmup.output, error)) return false;
  const retriever::Adapter adapter = retriever::Adapter::load(warmup.output);
  const nlohmann::json record = record_of(&adapter);
  return adapter.base_fingerprint == input.fingerprint && record.is_object() &&
         record.value("source", "") == TokenCache(warmup.data).source() &&
         record.value("tasks", "") == (input.tasks ? input.tasks->fingerprint() : "") &&
         record.value("negatives", "") ==
             (input.negatives ? input.negatives->fingerprint() : "") &&
         as_text(record.value("options", nlohmann::json())) == as_text(run_options(warmup));
}

}  // namespace

Stages stages_of(const StagedTrainOptions& options) {
  if (options.stages.empty()) return {.joint = options.steps > 0, .rl = options.rl.steps > 0};
  Stages stages;
  const std::array<std::pair<const char*, bool*>, 3> known{
      {{"warmup", &stages.warmup}, {"joint", &stages.joint}, {"rl", &stages.rl}}};
  size_t next = 0;
  std::istringstream in(options.stages);
  for (std::string name; std::getline(in, name, ',');) {
    while (next < known.size() && name != known[next].first) ++next;
    DSRASQ_CHECK(next < known.size(), kInvalidArgument, kInTrainingStages, "--stages is ",
                 options.stages, ", want a list of warmup, joint and rl in this order");
    *known[next++].second = true;
  }
  DSRASQ_CHECK(!stages.warmup || options.warmup_stage_steps > 0, kInvalidArgument,
               kInTrainingStages, "--stages names warmup, but --warmup-stage-steps is ",
               options.warmup_stage_steps);
  DSRASQ_CHECK(!stages.joint || options.steps > 0, kInvalidArgument, kInTrainingStages,
               "--stages names joint, but --steps is 0");
  DSRASQ_CHECK(stages.rl || options.rl.steps == 0, kInvalidArgument, kInTrainingStages,
               "--rl-steps is ", options.rl.steps, ", but --stages leaves out rl");
  const bool is_share = options.warmup_stage_share > 0 && options.warmup_stage_share < 1;
  DSRASQ_CHECK(is_share, kInvalidArgument, kInTrainingStages,
               "--warmup-stage-share has to be between 0 and 1");
  return stages;
}

StagedPlan plan_staged_training(const StagedInput& input, const StagedTrainOptions& options) {
  const Stages stages = stages_of(options);
  StagedPlan plan;
  if (stages.warmup) {
    plan.warmup =
        plan_retriever_training(input.start.train, warmup_options(input, options, stages));
    plan.total_seconds += plan.warmup->total_seconds;
  }
  if (!stages.warmup || stages.joint || stages.rl) {
    JointInput start = input.start;
    if (stages.warmup) start.adapter = nullptr;
    plan.joint = plan_joint_training(start, joint_options(start, options, stages));
    plan.total_seconds += plan.joint->total_seconds;
  }
  return plan;
}

StagedResult train_staged(const StagedInput& input, const StagedTrainOptions& options,
                          const std::function<void(const StagedProgress&)>& progress) {
  const Stages stages = stages_of(options);
  check_stages(input, options, stages);
  StagedResult result{.adapter = options.output};
  JointInput start{with_extra_texts(input.start.train, options), input.start.adapter,
                   input.start.adapter_fingerprint};
  JointTrainOptions joint = joint_options(start, options, stages);
  retriever::Adapter warmed_up;
  if (stages.warmup) {
    RetrieverTrainOptions warmup = warmup_options(input, options, stages);
    // Encoded once, for all stages.
    joint.data = warmup.data = prepare_training_tokens(start.train, options);
    if (!is_warmed_up(start.train, warmup))
      result.warmup = train_retriever(start.train, warmup, [&](const TrainProgress& now) {
        if (progress) progress({.warmup = &now});
      });
    if (!stages.joint && !stages.rl) return result;
    warmed_up = retriever::Adapter::load(warmup.output);
    Fingerprint hash;
    hash.add(MappedFile(warmup.output).bytes());
    start.adapter = &warmed_up;
    start.adapter_fingerprint = hash.hex();
  }
  result.joint = train_joint(start, joint, [&](const JointProgress& now) {
    if (progress) progress({.joint = &now});
  });
  return result;
}

}  // namespace dsrasq::train
