#include "dsrasq/train/training_loop.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/core/log.h"
#include "dsrasq/core/process.h"

namespace dsrasq::train {
namespace {

constexpr int64_t kReportEvery = 10;

}  // namespace

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TrainingLoop::TrainingLoop(const TrainInput& input, const RunOptions& options,
                           std::map<std::string, std::string> kept_options, const TokenCache& cache,
                           double budget_for_steps)
    : input_(input),
      common_(options),
      kept_options_(std::move(kept_options)),
      cache_(cache),
      budget_for_steps_(budget_for_steps),
      checkpoints_(run_folder(options)),
      profile_(input.processes->is_first() ? options.profile : "", input.model.device()),
      steps_(options.steps) {}

bool TrainingLoop::evaluation_is_due() const {
  return common_.eval_every > 0 && step_ % common_.eval_every == 0;
}

std::optional<TrainingState> TrainingLoop::start() {
  start_ = last_checkpoint_ = Clock::now();
  std::optional<TrainingState> stored;
  if (common_.resume) stored = checkpoints_.load();
  check_same_everywhere(stored);
  if (stored) check_same_run(*stored, state(), checkpoints_.path());
  if (processes().is_first()) log_.emplace(checkpoints_.path());
  if (!stored) return stored;
  step_ = first_step_ = saved_step_ = stored->step;
  steps_ = stored->steps;
  seconds_before_ = stored->seconds;
  note(concat("goes on from step ", step_, " of ", total_steps()));
  return stored;
}

void TrainingLoop::check_same_everywhere(const std::optional<TrainingState>& stored) {
  if (processes().size() == 1) return;
  std::string options =
      concat(state().identity, "\n", common_.eval_every, " ", common_.eval_stretches, " ",
             common_.checkpoint_every, " ", common_.time_budget > 0);
  for (const auto& [name, value] : kept_options_) options += concat("\n--", name, ' ', value);
  processes().check_same(options, "options, model or data");
  processes().check_same(stored ? std::to_string(stored->step) : "none",
                         "checkpoints in its run folder");
  // Nobody writes the next checkpoint before all have read this one.
  static_cast<void>(processes().any(false));
}

void TrainingLoop::note(const std::string& line) const {
  if (processes().is_first()) log(LogLevel::kInfo, line);
}

void TrainingLoop::log_scalars(const std::vector<Scalar>& scalars) {
  if (log_) log_->add(step_, scalars);
}

TrainingState TrainingLoop::common_state() const {
  TrainingState state;
  state.step = step_;
  state.steps = steps_;
  state.seconds = seconds();
  state.options = kept_options_;
  return state;
}

std::string TrainingLoop::last_checkpoint() const {
  return concat("the last checkpoint in ", checkpoints_.path().string(), " is of step ",
                std::max<int64_t>(0, saved_step_));
}

void TrainingLoop::save_checkpoint() {
  if (saved_step_ == step_) return;
  settle();  // a step that went wrong is never kept
  if (processes().is_first()) checkpoints_.save(state());
  saved_step_ = step_;
  last_checkpoint_ = Clock::now();
}

void TrainingLoop::share_decisions() {
  const bool overdue = seconds_since(last_checkpoint_) > common_.checkpoint_seconds;
  stops_ = interrupted();
  saves_ = step_ % common_.checkpoint_every == 0 || overdue;
  if (processes().size() == 1) return;
  const bool first_saves = processes().is_first() && saves_;
  const at::Tensor decisions = at::tensor({int64_t{stops_}, int64_t{first_saves}}, at::kLong);
  processes().sum(decisions);
  stops_ = decisions[0].item<int64_t>() > 0;
  saves_ = decisions[1].item<int64_t>() > 0;
}

void TrainingLoop::stop_as_asked() {
  save_checkpoint();
  note(concat("stopped at step ", step_, "; the same command goes on from there"));
  check_interrupt();
  throw Error(ErrorCode::kInterrupted, "train.loop", "another process was stopped by the user");
}

// Until the warm-up ends, the learning rate does not depend on the number of steps.
void TrainingLoop::fix_steps_by_budget() {
  if (common_.time_budget <= 0 || step_ != common_.warmup) return;
  const std::optional<double> each = measured_step_seconds();
  if (!each) return;
  const double left = (common_.time_budget - seconds()) * budget_for_steps_;
  steps_ = processes().of_first(
      step_ + std::max<int64_t>(1, static_cast<int64_t>(left / *each - later_steps())));
  note(concat(steps_, " steps fit into ", common_.time_budget, " s"));
}

void TrainingLoop::run_steps() {
  int64_t evaluated = -1;
  share_decisions();
  while (step_ < total_steps()) {
    if (stops_) stop_as_asked();
    profile_.begin(step_ - first_step_);
    step(step_);
    profile_.end(step_ - first_step_);
    ++step_;
    fix_steps_by_budget();
    if (step_ % kReportEvery == 0 || ends_stage()) report();
    if (evaluation_is_due()) {
      settle();
      evaluate();
      evaluated = step_;
    }
    share_decisions();
    if (saves_) save_checkpoint();
  }
  save_checkpoint();
  if (evaluated != step_) evaluate();
}

void TrainingLoop::write_adapter(retriever::Adapter adapter, nlohmann::json record) const {
  if (processes().size() > 1) record["processes"] = processes().size();
  record["steps"] = step_;
  record["seconds"] = seconds();
  record["device"] = input_.model.device().str();
  record["source"] = cache_.source();
  if (input_.tasks) record["tasks"] = input_.tasks->fingerprint();
  if (input_.negatives) record["negatives"] = input_.negatives->fingerprint();
  record["options"] = kept_options_;
  adapter.base_fingerprint = input_.fingerprint;
  adapter.base_name = input_.name;
  adapter.record = as_text(record);
  const std::filesystem::path path(common_.output);
  std::error_code error;  // saving says what is wrong
  std::filesystem::create_directories(path.parent_path(), error);
  adapter.save(path);
}

nlohmann::json record_of(const retriever::Adapter* adapter) {
  if (adapter == nullptr) return nullptr;
  const nlohmann::json record = nlohmann::json::parse(adapter->record, nullptr, false);
  return record.is_discarded() ? nlohmann::json() : record;
}

}  // namespace dsrasq::train
