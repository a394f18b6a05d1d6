#pragma once

// Result files, recognised by what is in them: the --json output of `eval`, `bench` and `ask`, the
// table of `sweep`, and the records of tools/eval_questions.py.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "dsrasq/report/policy_family.h"

namespace dsrasq::report {

/// A range that holds the true value with 95 % confidence.
struct Bounds {
  double low = 0, high = 0;
};

struct PerplexityResult {
  struct Row {
    std::string policy;
    double perplexity = 0;
    std::optional<double> change_percent;  ///< against the first policy
    std::optional<Bounds> change;          ///< percent
    std::optional<double> kl;              ///< from the first policy, nats a token
    double mean_retrieved = 0;             ///< tokens per query and layer
    double cache_bytes = 0;
    int64_t samples = 0, tokens = 0;
  };
  int64_t length = 0;
  std::vector<Row> rows;
};

struct NeedleResult {
  struct Row {
    std::string policy;
    int64_t length = 0, samples = 0;
    double accuracy = 0;
    std::optional<Bounds> interval;
    double mean_retrieved = 0, cache_bytes = 0;
  };
  struct Sample {
    std::string policy;
    int64_t length = 0;
    double depth = 0;  ///< percent of the text before the needle
    bool found = false;
  };
  std::vector<Row> rows;
  std::vector<Sample> samples;
};

struct GistResult {
  struct Row {
    std::string policy;
    int64_t samples = 0;
    double accuracy = 0, chance = 0;
    std::optional<Bounds> accuracy_interval;
    double own_gain = 0, other_gain = 0, advantage = 0;  ///< nats a token
    std::optional<Bounds> advantage_interval;
    std::optional<double> advantage_difference;  ///< to the first policy
    std::optional<Bounds> advantage_difference_interval;
    double mean_retrieved = 0, cache_bytes = 0;
  };
  std::vector<Row> rows;
};

struct TaskResult {
  /// One figure of one task under one policy.
  struct Row {
    std::string task, policy, figure;
    int64_t samples = 0;
    double value = 0;
    std::optional<Bounds> interval;
    std::optional<double> difference;  ///< to the first policy
    std::optional<Bounds> difference_interval;
    double mean_retrieved = 0, cache_bytes = 0;
  };
  std::vector<Row> rows;
};

struct BenchResult {
  struct Row {
    std::string policy;
    int64_t length = 0;
    double tokens_per_s = 0, slowest = 0, fastest = 0;
    double cache_bytes = 0, peak_bytes = 0;
    std::optional<double> operations, cache_bytes_read;  ///< counted, by bench scaling
  };
  /// How a quantity grows with the length (bench scaling).
  struct Growth {
    std::string policy;
    std::string of;  ///< "seconds", "operations" or "cache_bytes_read"
    double exponent = 0;
    std::optional<Bounds> interval;
  };
  std::string what;  ///< "prefill", "decode" or "scaling"; empty where the file does not say
  std::vector<Row> rows;
  std::vector<std::pair<std::string, double>> exponents;  ///< of time against length, by policy
  std::vector<Growth> growth;
};

/// One answer of `ask`, or several to questions whose evidence is known.
struct AnswerResult {
  struct Passage {
    std::string file;
    int64_t start = 0, end = 0;  ///< bytes of the file
    double weight = 0;
  };
  struct Answer {
    std::string question, text;
    std::optional<int64_t> rank;   ///< of the passage with the evidence, from 1; 0: not listed
    std::optional<bool> is_right;  ///< not where nobody judged it
    std::vector<Passage> passages;
  };
  std::string way;  ///< of reading; empty for `ask`
  std::optional<int64_t> n_found;
  std::vector<Answer> answers;
};

struct SweepResult {
  /// One point of the grid: what was chosen, and what came of it.
  struct Row {
    std::string point;
    double top_k = 0, slots = 0, beta = 0, lambda_ret = 0, lambda_comp = 0;
    std::string failure;       ///< empty where it did not fail
    bool is_finished = false;  ///< what follows was measured
    double perplexity = 0, full_perplexity = 0, change_percent = 0;
    std::optional<Bounds> change;
    double kl = 0, mean_retrieved = 0, cache_bytes = 0;
    double tokens_per_s = 0, train_tokens_per_s = 0;
    std::optional<double> needle_accuracy;
    int64_t steps = 0;
    double train_seconds = 0;
  };
  std::vector<Row> rows;
};

struct ResultFile {
  std::string path, stem;
  Options options;  ///< of its `config`; empty where there is none
  std::variant<PerplexityResult, NeedleResult, GistResult, TaskResult, BenchResult, AnswerResult,
               SweepResult>
      result;
};

/// Throws kBadInput naming the file, and the field where one is missing or no such thing, or what
/// the file is instead.
ResultFile read_result(const std::filesystem::path& path);

/// Puts the names of their folders before the stems of files that share a stem.
void tell_apart(std::vector<ResultFile>& files);

/// The command that made a result, as far as the file says it, an option a line; empty where it
/// does not.
std::string command_of(const ResultFile& file);

/// "perplexity", "needle", "gist", "tasks", "speed", "answers" or "sweep".
std::string kind_name(const ResultFile& file);

}  // namespace dsrasq::report
