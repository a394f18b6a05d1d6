#include "dsrasq/eval/task_answer.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/attention_rag.h"
#include "dsrasq/eval/run_fingerprint.h"
#include "dsrasq/eval/stopwatch.h"
#include "dsrasq/policy/cache_hits.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInTaskAnswer = "eval.task_answer";

bool judges_options(const data::TaskSample& sample) {
  return sample.format == data::TaskFormat::kMultiRc;
}

std::optional<TaskAnswer::Support> support_of(const std::vector<policy::RetrievedToken>& retrieved,
                                              const PromptTokens& prompt) {
  double all = 0, supporting = 0;
  for (const policy::RetrievedToken& token : retrieved) {
    const auto at = static_cast<size_t>(token.position);
    all += token.weight;
    if (at < prompt.ids.size() && prompt.is_supporting[at]) supporting += token.weight;
  }
  const auto n = std::count(prompt.is_supporting.begin(), prompt.is_supporting.end(), true);
  if (n == 0 || !(all > 0)) return std::nullopt;
  return TaskAnswer::Support{supporting / all,
                             static_cast<double>(n) / static_cast<double>(prompt.ids.size())};
}

// First tokens of the ways to write a word.
std::set<int32_t> first_tokens(const text::Tokenizer& tokenizer, const std::string& word) {
  std::set<int32_t> firsts;
  std::string capital = word;
  capital[0] = static_cast<char>(capital[0] - 'a' + 'A');
  for (const std::string& form : {word, capital, " " + word, " " + capital})
    if (const auto ids = tokenizer.encode(form); !ids.empty()) firsts.insert(ids.front());
  return firsts;
}

// Log of the summed exponentials.
double joined(std::span<const float> logits, const std::set<int32_t>& ids) {
  double most = -INFINITY, sum = 0;
  for (const int32_t id : ids) most = std::max<double>(most, logits[static_cast<size_t>(id)]);
  for (const int32_t id : ids) sum += std::exp(logits[static_cast<size_t>(id)] - most);
  return most + std::log(sum);
}

// Whether yes is likelier than no as the next word.
bool says_yes(const session::Session& session) {
  const text::Tokenizer& tokenizer = session.engine().tokenizer();
  std::set<int32_t> yes = first_tokens(tokenizer, "yes"), no = first_tokens(tokenizer, "no");
  for (auto id = yes.begin(); id != yes.end();)  // as of a space that is a token by itself
    id = no.erase(*id) > 0 ? yes.erase(id) : std::next(id);
  DSRASQ_CHECK(!yes.empty() && !no.empty(), kInvalidArgument, kInTaskAnswer,
               "the model's tokenizer cannot tell yes from no by their first tokens");
  const at::Tensor logits = session.next_logits();
  const std::span<const float> values(logits.const_data_ptr<float>(),
                                      static_cast<size_t>(logits.numel()));
  return joined(values, yes) > joined(values, no);
}

}  // namespace

TaskAnswer write_answer(session::Session& session, const TaskRules& rules, int64_t max_tokens,
                        const std::vector<std::string>& stops) {
  session::GenerateOptions options{.max_tokens = max_tokens, .stop = stops};
  if (rules.first_line) options.stop.push_back("\n");
  TaskAnswer answer;
  int64_t n_tokens = 0;
  do {
    const session::GenerateResult result = session.generate(options);
    DSRASQ_CHECK(result.finish_reason != "interrupted", kInterrupted, kInTaskAnswer,
                 "stopped by the user");
    answer.text = cleaned_answer(rules, result.text);
    n_tokens = result.n_tokens;
    if (answer.answer_tokens == 0) answer.first_token_seconds = result.first_token_ms / 1000;
    answer.answer_tokens += n_tokens;
    options.max_tokens -= n_tokens;
  } while (rules.first_line && answer.text.empty() && n_tokens > 0 && options.max_tokens > 0);
  return answer;
}

int64_t TaskAnswerer::most_tokens(const TaskRules& rules) const {
  return max_tokens_ > 0 ? max_tokens_ : rules.max_tokens;
}

void TaskAnswerer::read_texts(session::Session& session, const PromptTokens& prompt) const {
  session.read(std::span<const int32_t>(prompt.ids).first(prompt.question_at));
  if (question_agnostic_) session.prompt_ended();
}

TaskAnswer TaskAnswerer::generate(const NamedPolicy& policy, const TaskRules& rules,
                                  const PromptTokens& prompt) const {
  session::Session session(engine_, policy.options);
  policy::count_hits(session.policy());
  const std::span<const int32_t> ids(prompt.ids);
  const Clock::time_point start = Clock::now();
  read_texts(session, prompt);
  session.policy().start_recording();
  session.read(ids.subspan(prompt.question_at));
  const double reading = seconds_since(start);
  TaskAnswer answer = write_answer(session, rules, most_tokens(rules), encoder_.stops());
  answer.prompt_tokens = static_cast<int64_t>(ids.size());
  answer.mean_retrieved = session.policy().mean_retrieved();
  answer.cache_bytes = session.policy().bytes();
  answer.cache_hit_rate = policy::cache_hit_rate(session.policy());
  answer.seconds = seconds_since(start);
  answer.first_token_seconds += reading;
  answer.support = support_of(session.policy().take_recording(), prompt);
  return answer;
}

TaskAnswer TaskAnswerer::judge(const NamedPolicy& policy, const TaskRules& rules,
                               const data::TaskSample& sample) const {
  TaskAnswer answer;
  for (size_t i = 0; i < sample.options.size(); ++i) {
    const PromptTokens prompt =
        encoder_.encode(prompt_text(rules.prompt, sample, sample.options[i].text));
    session::Session session(engine_, policy.options);
    const Clock::time_point start = Clock::now();
    read_texts(session, prompt);
    session.read(std::span<const int32_t>(prompt.ids).subspan(prompt.question_at));
    if (says_yes(session)) answer.text += concat(answer.text.empty() ? "" : ",", i);
    answer.prompt_tokens += static_cast<int64_t>(prompt.ids.size());
    answer.mean_retrieved +=
        session.policy().mean_retrieved() / static_cast<double>(sample.options.size());
    answer.cache_bytes = std::max<uint64_t>(answer.cache_bytes, session.policy().bytes());
    answer.seconds += seconds_since(start);
  }
  return answer;
}

TaskAnswer TaskAnswerer::answer_pruned(const NamedPolicy& policy, const TaskRules& rules,
                                       const data::TaskSample& sample) const {
  const Clock::time_point start = Clock::now();
  const data::PromptText prompt = prompt_text(rules.prompt, sample);
  const size_t begin = rules.prompt.before.size();
  const std::string context = prompt.text.substr(begin, prompt.question_at - begin);
  ContextPruner::Pruned pruned = ContextPruner(engine_).prune(context, sample.question);
  if (context.ends_with('\n') && !pruned.context.ends_with('\n')) pruned.context += '\n';
  const double seconds = seconds_since(start);
  data::TaskSample shorter = sample;
  shorter.documents = {{"", pruned.context}};
  TaskRules plain = rules;
  plain.prompt.layout = data::DocumentLayout::kPlain;
  NamedPolicy after = policy;
  after.prunes_prompt = false;
  TaskAnswer answered = answer(after, plain, shorter);
  answered.seconds += seconds;
  if (answered.first_token_seconds > 0) answered.first_token_seconds += seconds;
  answered.cache_bytes = std::max(answered.cache_bytes, pruned.cache_bytes);
  return answered;
}

TaskAnswer TaskAnswerer::answer(const NamedPolicy& policy, const TaskRules& rules,
                                const data::TaskSample& sample) const {
  if (policy.prunes_prompt) return answer_pruned(policy, rules, sample);
  if (judges_options(sample)) return judge(policy, rules, sample);
  return generate(policy, rules, encoder_.encode(prompt_text(rules.prompt, sample)));
}

std::string TaskAnswerer::fingerprint(const NamedPolicy& policy, const TaskRules& rules,
                                      const data::TaskSample& sample) const {
  RunFingerprint run(engine_, policy.options);
  run.add(most_tokens(rules));
  if (question_agnostic_) run.add("question-agnostic");
  if (policy.prunes_prompt) run.add(kAttentionRag);
  const auto add_prompt = [&](std::string_view option) {
    for (const int32_t id : encoder_.encode(prompt_text(rules.prompt, sample, option)).ids)
      run.add(id);
  };
  if (!judges_options(sample)) add_prompt("");
  for (const data::TaskOption& option : sample.options) {
    if (judges_options(sample)) add_prompt(option.text);
    run.add(option.text);
    run.add(option.is_right);
  }
  for (const std::string& reference : sample.references) run.add(reference);
  return run.hex();
}

}  // namespace dsrasq::eval
