#pragma once

// Generation tasks from official files: answers of several policies, scored and compared.

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/task_rules.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct TaskOptions {
  std::vector<std::string> data{};  ///< files and folders
  std::string format = "auto";
  int64_t samples = 100;
  int64_t max_tokens = 0;
  int64_t max_context = 0;
  bool chat = false;
  int64_t at_once = 1;
  bool question_agnostic = false;
  std::string predictions{};
  std::string shard{};
  std::vector<std::string> merge{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data", "files in their official format, plain or .xz; a folder: its JSON files");
    visit(format, "format",
          "of the files: auto, hotpotqa, musique, multirc, nq, squad, summary, qmsum, longbench, "
          "ruler, kv, babi, parallel");
    visit(samples, "samples", "of each task, from the front; 0: all");
    visit(max_tokens, "max-tokens", "most tokens of an answer; 0: as the task says");
    visit(max_context, "max-context",
          "tokens; of a longer prompt the middle is left out (LongBench's way); 0: any");
    visit(at_once, "at-once", "answers that are worked on at the same time, for a GPU");
    visit(chat, "chat", "ask as a user's message, by the model's chat template");
    visit(question_agnostic, "question-agnostic",
          "what is kept of the texts is chosen before the question is read (snapkv, pyramidkv)");
    visit(predictions, "predictions",
          "a .jsonl file that gets every answer as it comes; a stopped run goes on from it");
    visit(shard, "shard", "I/N: only every N-th sample, from the I-th; results can be merged");
    visit(merge, "merge", "results of shards (JSON files) to put together, instead of running");
  }
};

/// Called with the number, from 0, and each sample.
using SampleUse = std::function<void(int64_t number, const data::TaskSample& sample)>;

/// The samples of files, at most `most` of each task (0: all). Throws as TaskReader does, and
/// kInterrupted.
void for_each_sample(const std::vector<std::string>& files, const std::string& format, int64_t most,
                     const SampleUse& use);

/// The samples of a run, read from the files when they are asked for.
class TaskSet {
 public:
  /// Reads everything once. Throws as TaskReader and task_rules do, and kInvalidArgument where
  /// MultiRC, which has figures of its own, stands beside others.
  TaskSet(TaskKind kind, const TaskOptions& options);

  TaskKind kind() const { return kind_; }
  int64_t size() const { return n_samples_; }
  /// Samples without a question of their own: the task asks for the same of all texts, or the text
  /// itself asks.
  int64_t n_unasked() const { return n_unasked_; }

  void for_each(const SampleUse& use) const { for_each_sample(data_, format_, most_, use); }

 private:
  TaskKind kind_;
  std::vector<std::string> data_;
  std::string format_;
  int64_t most_ = 0;  ///< of each task; 0: all
  int64_t n_samples_ = 0, n_unasked_ = 0;
};

/// Runs and summarises. `base.name` lists the policies (parse_policies). The result has the first
/// row's figures, `policy, mean_retrieved, cache_bytes`, then `rows` (task_rows) and `samples`, a
/// line for each sample and policy: what the predictions' file has. Throws kBadInput when that file
/// has a line that was made with other options.
nlohmann::ordered_json run_tasks(const session::Engine& engine, const policy::PolicyOptions& base,
                                 const TaskSet& set, const TaskOptions& options,
                                 const Progress& progress = nullptr);

/// The result that the shards in `files` would have given in one run. Throws kBadInput naming the
/// file that is no such result or repeats a sample.
nlohmann::ordered_json merge_tasks(const std::vector<std::string>& files);

}  // namespace dsrasq::eval
