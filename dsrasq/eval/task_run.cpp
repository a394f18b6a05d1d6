#include "dsrasq/eval/task_run.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/task_reader.h"
#include "dsrasq/eval/prediction_file.h"
#include "dsrasq/eval/shard_files.h"
#include "dsrasq/eval/task_answer.h"
#include "dsrasq/eval/task_figures.h"
#include "dsrasq/eval/task_rows.h"
#include "dsrasq/metrics/python_text.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kInTaskRun = "eval.task_run";

Json make_line(TaskKind kind, const data::TaskSample& sample, const std::string& policy,
               const TaskAnswer& answer, const std::string& fingerprint) {
  std::vector<std::string> references = shown_references(sample);
  for (std::string& reference : references) reference = metrics::repaired(reference);
  Json line{{"task", metrics::repaired(sample.task)},
            {"id", metrics::repaired(sample.id)},
            {"policy", policy},
            {"question", metrics::repaired(sample.question)},
            {"prediction", answer.text},
            {"references", references},
            {"scores", to_json(score_answer(kind, sample, answer.text))},
            {"prompt_tokens", answer.prompt_tokens},
            {"answer_tokens", answer.answer_tokens},
            {"mean_retrieved", answer.mean_retrieved},
            {"cache_bytes", answer.cache_bytes},
            {"seconds", answer.seconds}};
  if (answer.support) {
    line["retrieved_support"] = answer.support->retrieved;
    line["support_share"] = answer.support->of_prompt;
  }
  line["run"] = fingerprint;
  return line;
}

// "f1 0.67" of the first score that is one number.
std::string first_score(const Json& line) {
  for (const auto& [name, value] : line.at("scores").items())
    if (value.is_number()) return concat(", ", name, ' ', value.get<double>());
  return "";
}

void check_policies(const std::vector<NamedPolicy>& policies) {
  for (const NamedPolicy& named : policies)
    DSRASQ_CHECK(named.options.retention != "question", kInvalidArgument, kInTaskRun, "policy '",
                 named.label, "': retention question needs the question before the texts, and ",
                 "these tasks ask it behind them");
}

Json result(Json lines) {
  Json out, rows = task_rows(lines);
  if (!rows.empty()) {
    for (const auto& [name, value] : rows.front().items())
      if (find_figure(name) != nullptr) out[name] = value;
    for (const char* name : {"policy", "mean_retrieved", "cache_bytes"})
      out[name] = rows.front().at(name);
  }
  out["rows"] = std::move(rows);
  out["samples"] = std::move(lines);
  return out;
}

}  // namespace

TaskSet::TaskSet(TaskKind kind, const TaskOptions& options)
    : kind_(kind), data_(options.data), format_(options.format), most_(options.samples) {
  DSRASQ_CHECK(most_ >= 0, kInvalidArgument, kInTaskRun, "samples is ", most_, ", want 0 or more");
  DSRASQ_CHECK(std::find(data_.begin(), data_.end(), "-") == data_.end(), kInvalidArgument,
               kInTaskRun, "want files: standard input cannot be read twice");
  if (kind == TaskKind::kTranslation && format_ == "auto") format_ = "parallel";
  int64_t n_judged = 0;
  for_each([&](int64_t, const data::TaskSample& sample) {
    prompt_text(task_rules(kind_, sample).prompt, sample);
    n_judged += sample.format == data::TaskFormat::kMultiRc;
    ++n_samples_;
  });
  DSRASQ_CHECK(n_judged == 0 || n_judged == n_samples_, kInvalidArgument, kInTaskRun,
               "MultiRC has figures of its own (f1a): want its files in a run by themselves");
}

void TaskSet::for_each(const Use& use) const {
  data::TaskReader reader(data_, format_);
  std::map<std::string, int64_t> taken;  // by task
  int64_t number = 0;
  while (const auto sample = reader.next()) {
    check_interrupt();
    if (most_ > 0 && taken[sample->task]++ >= most_) continue;
    use(number++, *sample);
  }
}

Json run_tasks(const session::Engine& engine, const policy::PolicyOptions& base, const TaskSet& set,
               const TaskOptions& options, const Progress& progress) {
  const std::vector<NamedPolicy> policies = parse_policies(base.name, base);
  check_policies(policies);
  DSRASQ_CHECK(options.max_tokens >= 0 && options.max_context >= 0, kInvalidArgument, kInTaskRun,
               "max-tokens is ", options.max_tokens, " and max-context ", options.max_context,
               ", want 0 or more");
  const Shard shard = parse_shard(options.shard);
  const TaskAnswerer answerer(engine, {.chat = options.chat, .max_context = options.max_context},
                              options.max_tokens);
  PredictionFile file(options.predictions, {"task", "id", "policy"});
  Json lines = Json::array();
  int64_t n_empty = 0;
  set.for_each([&](int64_t number, const data::TaskSample& sample) {
    if (!shard.has(number)) return;
    const TaskRules rules = task_rules(set.kind(), sample);
    for (const NamedPolicy& named : policies) {
      const std::string fingerprint = answerer.fingerprint(named, rules, sample);
      const auto kept =
          file.find({metrics::repaired(sample.task), metrics::repaired(sample.id), named.label});
      Json line;
      if (kept.fields != nullptr) {
        line = *kept.fields;
        DSRASQ_CHECK(line.value("run", Json()) == fingerprint, kBadInput, kInTaskRun, file.name(),
                     " line ", kept.number, " was made with another model, other options or other ",
                     "data: give these options, or name another --predictions file");
      } else {
        line = make_line(set.kind(), sample, named.label, answerer.answer(named, rules, sample),
                         fingerprint);
        file.append(line);
        if (progress)
          progress(concat(sample.task, ", ", number + 1, " of ", set.size(), ", ", named.label,
                          first_score(line), " in ",
                          static_cast<int64_t>(line["seconds"].get<double>()), " s"));
      }
      n_empty += rules.max_tokens > 0 && line.value("prediction", "").empty();
      Json numbered{{"sample", number}};
      numbered.update(line);
      lines.push_back(std::move(numbered));
    }
  });
  if (progress && !options.chat && 2 * n_empty > static_cast<int64_t>(lines.size()))
    progress(concat(n_empty, " of ", lines.size(),
                    " answers are empty: a model that was tuned for chats may want --chat"));
  return result(std::move(lines));
}

Json merge_tasks(const std::vector<std::string>& files) {
  return result(merged_samples(files, {"sample", "task", "id", "policy"}));
}

}  // namespace dsrasq::eval
