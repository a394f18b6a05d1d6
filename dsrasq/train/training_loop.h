#pragma once

// The loop that every training runs: steps, reports, evaluations and checkpoints, from wherever the
// last checkpoint left it.

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/retriever/adapter.h"
#include "dsrasq/train/event_log.h"
#include "dsrasq/train/step_profile.h"
#include "dsrasq/train/train_input.h"
#include "dsrasq/train/training_checkpoint.h"

namespace dsrasq::train {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start);

/// The weight of what was before in a running mean.
inline constexpr double kLossDecay = 0.98;

/// A training says what a step is, and how it is reported, evaluated and kept. All processes of
/// `input.processes` run the same steps; the first one writes, and decides what clocks decide.
class TrainingLoop {
 protected:
  /// All must outlive the loop. `kept_options` are the run_options; `budget_for_steps` is the part
  /// of a time budget that evaluations and checkpoints leave.
  TrainingLoop(const TrainInput& input, const RunOptions& options,
               std::map<std::string, std::string> kept_options, const TokenCache& cache,
               double budget_for_steps);
  virtual ~TrainingLoop() = default;

  virtual void step(int64_t number) = 0;
  /// Waits for the metrics of all steps done. Throws kStopped for a loss that is no number.
  virtual void settle() {}
  virtual void report() = 0;
  virtual void evaluate() = 0;
  /// On top of `common_state`.
  virtual TrainingState state() const = 0;
  /// Asked for when the learning rate is at its peak and a time budget settles how many steps
  /// there are; nothing when it cannot say.
  virtual std::optional<double> measured_step_seconds() = 0;
  /// What a time budget has to pay beside these steps, as a number of them.
  virtual double later_steps() const { return 0; }
  virtual int64_t total_steps() const { return steps_; }
  virtual bool ends_stage() const { return step_ == total_steps(); }
  virtual bool evaluation_is_due() const;

  /// Starts the clock and the log; returns the checkpoint to go on from, if there is one and the
  /// options want it. Throws kInvalidArgument when it is of another run, or another process has
  /// other options, data or checkpoints.
  std::optional<TrainingState> start();
  /// Steps, checkpoints and evaluations up to the last one. Throws kInterrupted after Ctrl-C (a
  /// checkpoint is written first).
  void run_steps();
  /// What the checkpoints of all trainings hold, without `loss`, `identity` and tensors.
  TrainingState common_state() const;
  /// Writes the output, with a `record` to which is added what all records have.
  void write_adapter(retriever::Adapter adapter, nlohmann::json record) const;

  int64_t steps_done() const { return step_; }
  /// That the checkpoint held with which this process began.
  int64_t first_step() const { return first_step_; }
  /// Of the options, of the checkpoint, or what the time budget allows.
  int64_t steps() const { return steps_; }
  double seconds() const { return seconds_before_ + seconds_since(start_); }
  const TokenCache& cache() const { return cache_; }
  /// For TensorBoard, by the first process.
  void log_scalars(const std::vector<Scalar>& scalars);
  ProcessGroup& processes() const { return *input_.processes; }
  /// "the last checkpoint in FOLDER is of step N", for errors.
  std::string last_checkpoint() const;

 private:
  void check_same_everywhere(const std::optional<TrainingState>& stored);
  void share_decisions();
  void stop_as_asked();
  void note(const std::string& line) const;
  void save_checkpoint();
  void fix_steps_by_budget();

  const TrainInput& input_;
  const RunOptions& common_;
  const std::map<std::string, std::string> kept_options_;
  const TokenCache& cache_;
  const double budget_for_steps_;
  CheckpointFolder checkpoints_;
  StepProfile profile_;
  std::optional<EventLog> log_;  // of the first process
  Clock::time_point start_, last_checkpoint_;
  double seconds_before_ = 0;
  int64_t steps_, step_ = 0, first_step_ = 0, saved_step_ = -1;
  bool stops_ = false, saves_ = false;  // decided together, after every step
};

/// An adapter's record; null when there is no adapter or its record is no JSON.
nlohmann::json record_of(const retriever::Adapter* adapter);

}  // namespace dsrasq::train
