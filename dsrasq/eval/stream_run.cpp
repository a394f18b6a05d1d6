#include "dsrasq/eval/stream_run.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/answer_line.h"
#include "dsrasq/eval/run_fingerprint.h"
#include "dsrasq/eval/seconds.h"
#include "dsrasq/eval/stream_reader.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;
using Ids = std::vector<int32_t>;

constexpr const char* kInStreamRun = "eval.stream_run";

class StreamRunner {
 public:
  StreamRunner(const session::Engine& engine, const std::vector<Stream>& streams,
               const StreamRules& rules, const Progress& progress);

  void run(const NamedPolicy& policy);
  /// Lines by question, those of one question in the order of the policies.
  Json result();

 private:
  void read(const NamedPolicy& policy, const Stream& stream);
  void ask_alone(const NamedPolicy& policy, const Stream& stream);
  /// Asks what stands at the end of what `reader` has, and then gives it the step's reply.
  void ask(const NamedPolicy& policy, const StreamStep& step, const StreamQuestion& question,
           StreamReader& reader, RunFingerprint run);
  TaskAnswer answer(const StreamQuestion& question, StreamReader& reader) const;
  Ids encode(const std::string& text) const { return engine_.tokenizer().encode(text); }

  const session::Engine& engine_;
  const std::vector<Stream>& streams_;
  const StreamRules& rules_;
  const Progress& progress_;
  PredictionFile file_;
  Ids head_;  // of every stream
  size_t n_questions_ = 0, n_asked_ = 0;
  std::vector<Json> lines_;
};

StreamRunner::StreamRunner(const session::Engine& engine, const std::vector<Stream>& streams,
                           const StreamRules& rules, const Progress& progress)
    : engine_(engine),
      streams_(streams),
      rules_(rules),
      progress_(progress),
      file_(rules.predictions, line_keys()) {
  DSRASQ_CHECK(rules.max_tokens > 0, kInvalidArgument, kInStreamRun, "max-tokens is ",
               rules.max_tokens, ", want at least 1");
  std::set<std::pair<std::string, std::string>> seen;  // task, id
  for (const Stream& stream : streams)
    for (const StreamStep& step : stream) {
      for (const StreamQuestion& question : step.questions) {
        const std::string &task = question.sample.task, &id = question.sample.id;
        DSRASQ_CHECK(seen.emplace(task, id).second, kBadInput, kInStreamRun, id, " is twice among ",
                     "the questions of ", task);
      }
      DSRASQ_CHECK(step.reply.empty() || step.questions.size() == 1, kInternal, kInStreamRun,
                   "a reply answers ", step.questions.size(), " questions");
      n_questions_ += step.questions.size();
    }
  const text::Tokenizer& tokenizer = engine.tokenizer();
  if (const auto bos = tokenizer.bos(); bos && tokenizer.adds_bos()) head_ = {*bos};
}

void StreamRunner::run(const NamedPolicy& policy) {
  n_asked_ = 0;
  for (const Stream& stream : streams_) {
    if (policy.label == kAlone)
      ask_alone(policy, stream);
    else
      read(policy, stream);
  }
}

void StreamRunner::read(const NamedPolicy& policy, const Stream& stream) {
  StreamReader reader(engine_, policy.options);
  RunFingerprint run(engine_, policy.options);
  const auto hash = [&](const Ids& ids) {
    for (const int32_t id : ids) run.add(id);
  };
  if (reader.replays() && progress_ && n_asked_ == 0)
    progress_(concat(policy.label, " cannot be saved: it reads the stream again for every answer"));
  reader.add(head_);
  for (const StreamStep& step : stream) {
    const Ids ids = encode(step.text);
    reader.add(ids);
    hash(ids);
    for (const StreamQuestion& question : step.questions) ask(policy, step, question, reader, run);
    hash(encode(step.reply));
  }
}

void StreamRunner::ask_alone(const NamedPolicy& policy, const Stream& stream) {
  for (const StreamStep& step : stream)
    for (const StreamQuestion& question : step.questions) {
      StreamReader reader(engine_, policy.options);
      RunFingerprint run(engine_, policy.options);
      reader.add(head_);
      reader.add(encode(question.alone));
      run.add(question.alone);
      ask(policy, step, question, reader, run);
    }
}

void StreamRunner::ask(const NamedPolicy& policy, const StreamStep& step,
                       const StreamQuestion& question, StreamReader& reader, RunFingerprint run) {
  run.add(rules_.max_tokens);
  run.add(rules_.max_words);
  run.add(question.prompt);
  run.add(step.reply);
  for (const std::string& reference : question.sample.references) run.add(reference);
  const Ids reply = encode(step.reply);
  Json line = kept_line(file_, question.sample, policy.label, run.hex());
  if (line.is_null()) {
    const TaskAnswer given = answer(question, reader);
    std::vector<Score> scores = score_answer(TaskKind::kQa, question.sample, given.text);
    for (Score& score : score_answer(TaskKind::kSummarization, question.sample, given.text))
      scores.push_back(std::move(score));
    if (!reply.empty())
      scores.insert(scores.begin(),
                    {"perplexity", {reader.read_scored(reply), static_cast<double>(reply.size())}});
    line = answer_line(question.sample, policy.label, given, scores, run.hex());
    file_.append(line);
    if (progress_)
      progress_(concat(question.sample.task, ", ", n_asked_ + 1, " of ", n_questions_, ", ",
                       policy.label, first_score(line), " after ", reader.size(), " tokens"));
  } else {
    reader.add(reply);
  }
  Json numbered{{"sample", n_asked_++}};
  numbered.update(line);
  lines_.push_back(std::move(numbered));
}

TaskAnswer StreamRunner::answer(const StreamQuestion& question, StreamReader& reader) const {
  const std::unique_ptr<session::Session> session = reader.fork();
  const Clock::time_point start = Clock::now();
  session->read(encode(question.prompt));
  const int64_t n_read = session->position();
  const double reading = seconds_since(start);
  TaskAnswer answer = write_answer(*session, {.first_line = true}, rules_.max_tokens);
  if (rules_.max_words > 0) answer.text = first_words(answer.text, rules_.max_words);
  answer.prompt_tokens = n_read;
  answer.mean_retrieved = session->policy().mean_retrieved();
  answer.cache_bytes = session->policy().bytes();
  answer.seconds = seconds_since(start);
  answer.first_token_seconds += reading;
  return answer;
}

Json StreamRunner::result() {
  std::stable_sort(lines_.begin(), lines_.end(), [](const Json& a, const Json& b) {
    return a["sample"].get<size_t>() < b["sample"].get<size_t>();
  });
  return lines_result(std::move(lines_));
}

}  // namespace

std::string first_words(const std::string& text, int64_t most) {
  std::istringstream parts(text);
  std::string words;
  for (std::string word; most-- > 0 && parts >> word;) words += (words.empty() ? "" : " ") + word;
  return words;
}

Json run_streams(const session::Engine& engine, const policy::PolicyOptions& base,
                 const std::vector<Stream>& streams, const StreamRules& rules,
                 const Progress& progress) {
  std::vector<NamedPolicy> policies = parse_policies(base.name, base);
  check_question_last(policies);
  NamedPolicy alone{kAlone, base};
  alone.options.name = "full";
  policies.push_back(std::move(alone));
  StreamRunner runner(engine, streams, rules, progress);
  for (const NamedPolicy& policy : policies) runner.run(policy);
  return runner.result();
}

}  // namespace dsrasq::eval
