#include "dsrasq/eval/task_run.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/task_reader.h"
#include "dsrasq/eval/answer_line.h"
#include "dsrasq/eval/shard_files.h"
#include "dsrasq/eval/work_queue.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kInTaskRun = "eval.task_run";

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
    n_unasked_ += sample.question.empty();
    ++n_samples_;
  });
  DSRASQ_CHECK(n_judged == 0 || n_judged == n_samples_, kInvalidArgument, kInTaskRun,
               "MultiRC has figures of its own (f1a): want its files in a run by themselves");
}

void for_each_sample(const std::vector<std::string>& files, const std::string& format, int64_t most,
                     const SampleUse& use) {
  data::TaskReader reader(files, format);
  std::map<std::string, int64_t> taken;  // by task
  int64_t number = 0;
  while (const auto sample = reader.next()) {
    check_interrupt();
    if (most > 0 && taken[sample->task]++ >= most) continue;
    use(number++, *sample);
  }
}

namespace {

void check_run(const std::vector<NamedPolicy>& policies, const TaskSet& set,
               const TaskOptions& options) {
  check_question_last(policies);
  for (const NamedPolicy& named : policies)
    DSRASQ_CHECK(!named.prunes_prompt || set.n_unasked() == 0, kInvalidArgument, kInTaskRun,
                 "policy '", named.label, "' prunes texts by the question, and ", set.n_unasked(),
                 " of ", set.size(), " samples have none beside their text");
  DSRASQ_CHECK(options.max_tokens >= 0 && options.max_context >= 0, kInvalidArgument, kInTaskRun,
               "max-tokens is ", options.max_tokens, " and max-context ", options.max_context,
               ", want 0 or more");
  DSRASQ_CHECK(!options.question_agnostic || set.n_unasked() == 0, kInvalidArgument, kInTaskRun,
               "--question-agnostic needs questions behind the texts, and ", set.n_unasked(),
               " of ", set.size(), " samples have none beside their text");
}

}  // namespace

Json run_tasks(const session::Engine& engine, const policy::PolicyOptions& base, const TaskSet& set,
               const TaskOptions& options, const Progress& progress) {
  const std::vector<NamedPolicy> policies = parse_policies(base.name, base, PromptMethods::kTaken);
  check_run(policies, set, options);
  const Shard shard = parse_shard(options.shard);
  const TaskAnswerer answerer(engine, {.chat = options.chat, .max_context = options.max_context},
                              options.max_tokens, options.question_agnostic);
  PredictionFile file(options.predictions, line_keys());
  std::deque<Json> numbered;  // in order; one does not move when others come
  int64_t n_empty = 0;
  std::mutex mutex;  // of the file, n_empty and progress
  const auto answer = [&](const NamedPolicy& named, int64_t number, const data::TaskSample& sample,
                          Json& out) {
    const TaskRules rules = task_rules(set.kind(), sample);
    const std::string fingerprint = answerer.fingerprint(named, rules, sample);
    Json line = kept_line(file, sample, named.label, fingerprint);
    const bool is_new = line.is_null();
    if (is_new) {
      const TaskAnswer answer = answerer.answer(named, rules, sample);
      line = answer_line(sample, named.label, answer, score_answer(set.kind(), sample, answer.text),
                         fingerprint);
    }
    const std::lock_guard lock(mutex);
    if (is_new) file.append(line);
    if (is_new && progress)
      progress(concat(sample.task, ", ", number + 1, " of ", set.size(), ", ", named.label,
                      first_score(line), " in ",
                      static_cast<int64_t>(line["seconds"].get<double>()), " s"));
    n_empty += rules.max_tokens > 0 && line.value("prediction", "").empty();
    out.update(line);
  };
  WorkQueue queue(options.at_once, engine.model().device());
  set.for_each([&](int64_t number, const data::TaskSample& sample) {
    if (!shard.has(number)) return;
    const auto kept = std::make_shared<const data::TaskSample>(sample);
    for (const NamedPolicy& named : policies) {
      Json& line = numbered.emplace_back(Json{{"sample", number}});
      queue.add([&, kept, number] { answer(named, number, *kept, line); });
    }
  });
  queue.finish();
  Json lines = Json::array();
  for (Json& line : numbered) lines.push_back(std::move(line));
  if (progress && !options.chat && 2 * n_empty > static_cast<int64_t>(lines.size()))
    progress(concat(n_empty, " of ", lines.size(),
                    " answers are empty: a model that was tuned for chats may want --chat"));
  return lines_result(std::move(lines));
}

Json merge_tasks(const std::vector<std::string>& files) {
  return lines_result(merged_samples(files, {"sample", "task", "id", "policy"}));
}

}  // namespace dsrasq::eval
