#pragma once

// What a question retrieves, against the texts that its data set calls supporting, and against the
// tokens with the most attention.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dsrasq/eval/policy_list.h"
#include "dsrasq/eval/task_figures.h"
#include "dsrasq/policy/attention_mass.h"
#include "dsrasq/policy/sparse_policy.h"
#include "dsrasq/session/engine.h"

namespace dsrasq::eval {

struct RetrievalOptions {
  std::vector<std::string> data{};  ///< files and folders
  std::string format = "auto";
  int64_t samples = 50;
  bool chat = false;
  std::string predictions{};
  std::string shard{};
  std::vector<std::string> merge{};

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data", "files in their official format, plain or .xz; a folder: its JSON files");
    visit(format, "format",
          "of the files: auto, hotpotqa, musique, multirc, nq, squad, kv, babi, qmsum");
    visit(samples, "samples", "of each task, from the front; 0: all");
    visit(chat, "chat", "ask as a user's message, by the model's chat template");
    visit(predictions, "predictions",
          "a .jsonl file that gets every sample as it comes; a stopped run goes on from it");
    visit(shard, "shard", "I/N: only every N-th sample, from the I-th; results can be merged");
    visit(merge, "merge", "results of shards (JSON files) to put together, instead of running");
  }
};

/// Sums over the sets of one sample, a set being what one query retrieved in one layer that could
/// retrieve something. Sinks and window are in none of them.
struct RetrievalCounts {
  int64_t n_sets = 0, retrieved = 0;
  int64_t oracle = 0;  ///< as many tokens as the policy may retrieve, with the most attention
  int64_t oracle_common = 0;         ///< of `retrieved` and `oracle`
  double mass = 0, oracle_mass = 0;  ///< attention of `retrieved` and `oracle`, mean over heads
  /// Of the sets whose query could retrieve a supporting token:
  int64_t fact_retrieved = 0, fact_visible = 0;  ///< tokens retrieved; that could be
  int64_t facts = 0, fact_common = 0;            ///< supporting ones that could be; that were
};

/// Counts the sets of the queries from `first_query` on. Wants to be told of every call.
class RetrievalCounter final : public policy::SelectionObserver {
 public:
  /// Of a policy that has read nothing; `is_fact` of each token of the sequence, those behind its
  /// end are none.
  RetrievalCounter(const policy::SparsePolicy& policy, std::vector<bool> is_fact,
                   int64_t first_query);

  void selected(const policy::SelectionRequest& request,
                const policy::Selection& selection) override;
  const RetrievalCounts& counts() const { return counts_; }

 private:
  void add(const policy::SelectionRequest& request, std::span<const int32_t> picked, int64_t top_k,
           std::span<const int32_t> slots, std::span<const float> mass);

  policy::AttentionMass mass_;
  std::vector<bool> is_fact_;
  int64_t first_query_;
  RetrievalCounts counts_;
};

/// Sums that the figures over samples are made of: `oracle_precision, oracle_recall, oracle_f1,
/// oracle_mass` and, where the data set names supporting texts, `fact_precision, fact_recall,
/// fact_f1, fact_chance`.
std::vector<Score> retrieval_scores(const RetrievalCounts& counts, bool has_facts);

/// `eval retrieval`: runs and summarises. `base.name` lists the policies, which retrieve (dsrasq,
/// random, recency, oracle). Each reads a sample's texts, its question and its first right answer;
/// what question and answer retrieve is counted. The result is that of run_tasks with the figures
/// of retrieval_scores.
nlohmann::ordered_json run_retrieval(const session::Engine& engine,
                                     const policy::PolicyOptions& base,
                                     const RetrievalOptions& options,
                                     const Progress& progress = nullptr);

/// Throws kInvalidArgument naming a policy of the list that retrieves nothing.
void check_retrieving(const std::vector<NamedPolicy>& policies);

}  // namespace dsrasq::eval
