#include "dsrasq/train/training_loop.h"

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

void info(const std::string& line) { log(LogLevel::kInfo, line); }

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
      steps_(options.steps) {}

bool TrainingLoop::evaluation_is_due() const {
  return common_.eval_every > 0 && step_ % common_.eval_every == 0;
}

std::optional<TrainingState> TrainingLoop::start() {
  start_ = last_checkpoint_ = Clock::now();
  std::optional<TrainingState> stored;
  if (common_.resume) stored = checkpoints_.load();
  if (stored) check_same_run(*stored, state(), checkpoints_.path());
  log_.emplace(checkpoints_.path());
  if (!stored) return stored;
  step_ = first_step_ = saved_step_ = stored->step;
  steps_ = stored->steps;
  seconds_before_ = stored->seconds;
  info(concat("goes on from step ", step_, " of ", total_steps()));
  return stored;
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
  checkpoints_.save(state());
  saved_step_ = step_;
  last_checkpoint_ = Clock::now();
}

void TrainingLoop::stop_if_asked() {
  if (!interrupted()) return;
  save_checkpoint();
  info(concat("stopped at step ", step_, "; the same command goes on from there"));
  check_interrupt();
}

// Until the warm-up ends, the learning rate does not depend on the number of steps.
void TrainingLoop::fix_steps_by_budget() {
  if (common_.time_budget <= 0 || step_ != common_.warmup) return;
  const std::optional<double> each = measured_step_seconds();
  if (!each) return;
  const double left = (common_.time_budget - seconds()) * budget_for_steps_;
  steps_ = step_ + std::max<int64_t>(1, static_cast<int64_t>(left / *each - later_steps()));
  info(concat(steps_, " steps fit into ", common_.time_budget, " s"));
}

void TrainingLoop::run_steps() {
  int64_t evaluated = -1;
  while (step_ < total_steps()) {
    stop_if_asked();
    step(step_);
    ++step_;
    fix_steps_by_budget();
    if (step_ % kReportEvery == 0 || ends_stage()) report();
    if (evaluation_is_due()) {
      settle();
      evaluate();
      evaluated = step_;
    }
    if (step_ % common_.checkpoint_every == 0 ||
        seconds_since(last_checkpoint_) > common_.checkpoint_seconds)
      save_checkpoint();
  }
  save_checkpoint();
  if (evaluated != step_) evaluate();
}

void TrainingLoop::write_adapter(retriever::Adapter adapter, nlohmann::json record) const {
  record["steps"] = step_;
  record["seconds"] = seconds();
  record["device"] = input_.model.device().str();
  record["source"] = cache_.source();
  if (input_.tasks) record["tasks"] = input_.tasks->fingerprint();
  record["options"] = kept_options_;
  adapter.base_fingerprint = input_.fingerprint;
  adapter.base_name = input_.name;
  // Names of files need not be UTF-8.
  adapter.record = record.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
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
