#include "dsrasq/eval/retrieval.h"

#include <algorithm>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::eval {
namespace {

// A figure of `common` tokens out of `retrieved` and `wanted`.
Score overlap(const char* figure, int64_t common, int64_t retrieved, int64_t wanted) {
  return {
      figure,
      {static_cast<double>(common), static_cast<double>(retrieved), static_cast<double>(wanted)}};
}

Score ratio(const char* figure, double part, double whole) { return {figure, {part, whole}}; }

}  // namespace

RetrievalCounter::RetrievalCounter(const policy::SparsePolicy& policy, std::vector<bool> is_fact,
                                   int64_t first_query)
    : mass_(policy.shape(), policy.options().sinks, policy.options().max_distance),
      is_fact_(std::move(is_fact)),
      first_query_(first_query) {}

void RetrievalCounter::selected(const policy::SelectionRequest& request,
                                const policy::Selection& selection) {
  mass_.keep_sinks(request);
  if (request.first + request.n_queries <= first_query_) return;
  mass_.for_each_query(
      request, [&](int64_t query, std::span<const int32_t> slots, std::span<const float> mass) {
        if (request.first + query < first_query_ || slots.empty()) return;
        const auto row = static_cast<size_t>(query);
        const auto top_k = static_cast<size_t>(selection.top_k);
        const auto n_picked = static_cast<size_t>(selection.counts[row]);
        add(request, std::span(selection.slots).subspan(row * top_k, n_picked), selection.top_k,
            slots, mass);
      });
}

// One set. All slots are in the order of their positions.
void RetrievalCounter::add(const policy::SelectionRequest& request, std::span<const int32_t> picked,
                           int64_t top_k, std::span<const int32_t> slots,
                           std::span<const float> mass) {
  std::vector<bool> is_picked(slots.size());
  for (size_t i = 0, next = 0; i < slots.size() && next < picked.size(); ++i)
    if (slots[i] == picked[next]) is_picked[i] = true, ++next;
  int64_t facts = 0, fact_common = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    const auto position = static_cast<size_t>(request.pool.position_of(slots[i]));
    const bool is_fact = position < is_fact_.size() && is_fact_[position];
    facts += is_fact;
    fact_common += is_fact && is_picked[i];
    if (is_picked[i]) counts_.mass += mass[i];
  }
  const auto n_picked = static_cast<int64_t>(picked.size());
  ++counts_.n_sets;
  counts_.retrieved += n_picked;
  for (const int64_t place : policy::places_of_greatest(mass, top_k)) {
    ++counts_.oracle;
    counts_.oracle_common += is_picked[static_cast<size_t>(place)];
    counts_.oracle_mass += mass[static_cast<size_t>(place)];
  }
  if (facts == 0) return;
  counts_.fact_retrieved += n_picked;
  counts_.fact_visible += static_cast<int64_t>(slots.size());
  counts_.facts += facts;
  counts_.fact_common += fact_common;
}

std::vector<Score> retrieval_scores(const RetrievalCounts& c, bool has_facts) {
  std::vector<Score> scores;
  if (has_facts) {
    scores.push_back(ratio("fact_precision", static_cast<double>(c.fact_common),
                           static_cast<double>(c.fact_retrieved)));
    scores.push_back(
        ratio("fact_recall", static_cast<double>(c.fact_common), static_cast<double>(c.facts)));
    scores.push_back(overlap("fact_f1", c.fact_common, c.fact_retrieved, c.facts));
    scores.push_back(
        ratio("fact_chance", static_cast<double>(c.facts), static_cast<double>(c.fact_visible)));
  }
  scores.push_back(ratio("oracle_precision", static_cast<double>(c.oracle_common),
                         static_cast<double>(c.retrieved)));
  scores.push_back(
      ratio("oracle_recall", static_cast<double>(c.oracle_common), static_cast<double>(c.oracle)));
  scores.push_back(overlap("oracle_f1", c.oracle_common, c.retrieved, c.oracle));
  scores.push_back(ratio("oracle_mass", c.mass, c.oracle_mass));
  return scores;
}

void check_retrieving(const std::vector<NamedPolicy>& policies) {
  for (const NamedPolicy& named : policies) {
    const std::string& name = named.options.name;
    DSRASQ_CHECK(name == "dsrasq" || name == "random" || name == "recency" || name == "oracle",
                 kInvalidArgument, "eval.retrieval", "policy '", named.label,
                 "' retrieves nothing from a pool; want dsrasq, random, recency or oracle");
    DSRASQ_CHECK(named.options.top_k > 0 && named.options.pool > 0, kInvalidArgument,
                 "eval.retrieval", "policy '", named.label, "' retrieves nothing: its topk is ",
                 named.options.top_k, " and its pool ", named.options.pool);
  }
}

}  // namespace dsrasq::eval
