#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/answer_line.h"
#include "dsrasq/eval/retrieval.h"
#include "dsrasq/eval/run_fingerprint.h"
#include "dsrasq/eval/stopwatch.h"
#include "dsrasq/eval/task_run.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
using data::TaskFormat;

constexpr const char* kInRetrievalRun = "eval.retrieval";

// Whether files of a format can say which texts support an answer.
bool names_support(TaskFormat format) {
  switch (format) {
    case TaskFormat::kHotpotQa:
    case TaskFormat::kMusique:
    case TaskFormat::kNqOpen:
    case TaskFormat::kKeyValue:
    case TaskFormat::kBabi:
    case TaskFormat::kQmsum: return true;
    default: return false;
  }
}

bool asks_behind_texts(TaskFormat format) {
  return names_support(format) || format == TaskFormat::kMultiRc || format == TaskFormat::kSquad;
}

// A sample's texts, question and first right answer, as the model was asked in training.
struct AskedText {
  PromptTokens prompt;
  std::vector<int32_t> answer;
};

AskedText asked_text(const session::Engine& engine, const PromptEncoder& encoder,
                     const data::TaskSample& sample) {
  const std::vector<data::TaskAnswer> answers = data::task_answers(sample);
  DSRASQ_CHECK(!answers.empty(), kBadInput, kInRetrievalRun, "sample ", sample.task, '/', sample.id,
               " has no answer with a text");
  const data::PromptText text =
      data::prompt_text(data::task_prompt(sample.format), sample, answers.front().option);
  return {encoder.encode(text),
          engine.tokenizer().encode(data::answer_behind(text.text, answers.front().text),
                                    {.add_bos = false})};
}

std::string asked_fingerprint(const session::Engine& engine, const NamedPolicy& named,
                              const AskedText& asked) {
  RunFingerprint run(engine, named.options);
  run.add("retrieval");
  for (const int32_t id : asked.prompt.ids) run.add(id);
  for (const int32_t id : asked.answer) run.add(id);
  for (const bool is_fact : asked.prompt.is_supporting) run.add(is_fact);
  return run.hex();
}

Json count_sample(const session::Engine& engine, const NamedPolicy& named, const AskedText& asked,
                  const data::TaskSample& sample) {
  session::Session session(engine, named.options);
  auto* policy = dynamic_cast<policy::SparsePolicy*>(&session.policy());
  DSRASQ_CHECK(policy != nullptr, kUnavailable, kInRetrievalRun,
               "what is retrieved can be counted on the CPU only; use --device cpu");
  const auto question_at = static_cast<int64_t>(asked.prompt.question_at);
  RetrievalCounter counter(*policy, asked.prompt.is_supporting, question_at);
  policy->observe(&counter);
  const std::span<const int32_t> ids(asked.prompt.ids);
  const auto start = std::chrono::steady_clock::now();
  session.read(ids.first(asked.prompt.question_at));
  policy->count_hits();
  session.read(ids.subspan(asked.prompt.question_at));
  session.read(asked.answer);
  const RetrievalCounts& counts = counter.counts();
  const double n_sets = static_cast<double>(std::max<int64_t>(1, counts.n_sets));
  TaskAnswer answer;
  answer.prompt_tokens = static_cast<int64_t>(ids.size());
  answer.answer_tokens = static_cast<int64_t>(asked.answer.size());
  answer.mean_retrieved = static_cast<double>(counts.retrieved) / n_sets;
  answer.cache_bytes = policy->bytes();
  answer.cache_hit_rate = policy->cache_hit_rate();
  answer.seconds = seconds_since(start);
  Json line = answer_line(sample, named.label, answer,
                          retrieval_scores(counts, names_support(sample.format)),
                          asked_fingerprint(engine, named, asked));
  line.erase("prediction");  // nothing was generated
  return line;
}

// Whether no supporting token was in the pool or, where none is known, no token at all.
bool has_nothing_to_find(const Json& scores) {
  return scores.at(scores.contains("fact_recall") ? "fact_recall" : "oracle_recall")[1] == 0;
}

void check_format(const data::TaskSample& sample) {
  DSRASQ_CHECK(asks_behind_texts(sample.format), kInvalidArgument, kInRetrievalRun,
               "eval retrieval does not do ", data::task_format_name(sample.format), " data (",
               sample.task, "); want hotpotqa, musique, multirc, nq, squad, kv, babi or qmsum");
}

}  // namespace

Json run_retrieval(const session::Engine& engine, const policy::PolicyOptions& base,
                   const RetrievalOptions& options, const Progress& progress) {
  const std::vector<NamedPolicy> policies = parse_policies(base.name, base);
  check_retrieving(policies);
  check_question_last(policies);
  DSRASQ_CHECK(options.samples >= 0, kInvalidArgument, kInRetrievalRun, "samples is ",
               options.samples, ", want 0 or more");
  const Shard shard = parse_shard(options.shard);
  const PromptEncoder encoder(engine.tokenizer(), {.chat = options.chat});
  PredictionFile file(options.predictions, line_keys());
  Json lines = Json::array();
  int64_t n_without = 0;
  const auto use = [&](int64_t number, const data::TaskSample& sample) {
    check_format(sample);
    if (!shard.has(number)) return;
    const AskedText asked = asked_text(engine, encoder, sample);
    for (const NamedPolicy& named : policies) {
      Json line = kept_line(file, sample, named.label, asked_fingerprint(engine, named, asked));
      if (line.is_null()) {
        line = count_sample(engine, named, asked, sample);
        file.append(line);
        if (progress)
          progress(concat(sample.task, ", ", number + 1, ", ", named.label, ": ",
                          line["mean_retrieved"].get<double>(), " tokens retrieved in ",
                          static_cast<int64_t>(line["seconds"].get<double>()), " s"));
      }
      n_without += has_nothing_to_find(line.at("scores"));
      Json numbered{{"sample", number}};
      numbered.update(line);
      lines.push_back(std::move(numbered));
    }
  };
  for_each_sample(options.data, options.format, options.samples, use);
  if (progress && n_without > 0)
    progress(concat(n_without, " of ", lines.size(),
                    " readings had nothing to find in the pool and count in no figure of it: a "
                    "smaller --window leaves more there"));
  return lines_result(std::move(lines));
}

}  // namespace dsrasq::eval
