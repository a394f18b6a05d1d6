#include "dsrasq/report/result_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/text/json_view.h"

namespace dsrasq::report {
namespace {

using text::JsonView;

constexpr const char* kWhere = "report.result_file";
constexpr uint64_t kMostBytes = 1ull << 30;
constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
constexpr const char* kWanted =
    "want what eval, bench or ask print with --json, the table of a sweep, or a record of "
    "tools/eval_questions.py";

std::string string_at(const JsonView& view, const char* key) { return view.at(key).string(); }

// No figure of ours is larger, and a plot of such numbers would overflow.
double figure(const JsonView& view) {
  constexpr double kLargest = 1e18;
  const double value = view.number();
  if (std::abs(value) > kLargest) view.fail("is too large a number");
  return value;
}

double number_at(const JsonView& view, const char* key) { return figure(view.at(key)); }
int64_t count_at(const JsonView& view, const char* key) { return view.at(key).integer(0, kMost); }

std::optional<double> maybe_number(const JsonView& view, const char* key) {
  const auto found = view.find(key);
  return found ? std::optional(figure(*found)) : std::nullopt;
}

std::optional<Bounds> maybe_bounds(const JsonView& view, const char* key) {
  const auto found = view.find(key);
  if (!found) return std::nullopt;
  if (found->size() != 2) found->fail("is no pair of numbers");
  return Bounds{figure((*found)[0]), figure((*found)[1])};
}

template <class Use>
void for_each(const JsonView& list, const Use& use) {
  for (size_t i = 0; i < list.size(); ++i) use(list[i]);
}

PerplexityResult perplexity_of(const JsonView& file) {
  PerplexityResult result{.length = count_at(file, "length"), .rows = {}};
  for_each(file.at("rows"), [&](const JsonView& row) {
    result.rows.push_back({.policy = string_at(row, "policy"),
                           .perplexity = number_at(row, "perplexity"),
                           .change_percent = maybe_number(row, "change_percent"),
                           .change = maybe_bounds(row, "change_interval"),
                           .kl = maybe_number(row, "kl"),
                           .mean_retrieved = number_at(row, "mean_retrieved"),
                           .cache_bytes = number_at(row, "cache_bytes"),
                           .samples = count_at(row, "samples"),
                           .tokens = count_at(row, "tokens")});
    if (result.rows.back().perplexity <= 0) row.at("perplexity").fail("is not above zero");
  });
  return result;
}

NeedleResult needle_of(const JsonView& file) {
  NeedleResult result;
  for_each(file.at("rows"), [&](const JsonView& row) {
    result.rows.push_back({.policy = string_at(row, "policy"),
                           .length = row.at("length").integer(1, kMost),
                           .samples = count_at(row, "samples"),
                           .accuracy = number_at(row, "accuracy"),
                           .interval = maybe_bounds(row, "accuracy_interval"),
                           .mean_retrieved = number_at(row, "mean_retrieved"),
                           .cache_bytes = number_at(row, "cache_bytes")});
  });
  if (const auto samples = file.find("samples"))
    for_each(*samples, [&](const JsonView& sample) {
      result.samples.push_back({.policy = string_at(sample, "policy"),
                                .length = sample.at("length").integer(1, kMost),
                                .depth = number_at(sample, "depth"),
                                .found = sample.at("found").boolean()});
    });
  return result;
}

GistResult gist_of(const JsonView& file) {
  GistResult result;
  for_each(file.at("rows"), [&](const JsonView& row) {
    result.rows.push_back(
        {.policy = string_at(row, "policy"),
         .samples = count_at(row, "samples"),
         .accuracy = number_at(row, "accuracy"),
         .chance = number_at(row, "chance"),
         .accuracy_interval = maybe_bounds(row, "accuracy_interval"),
         .own_gain = number_at(row, "own_gain"),
         .other_gain = number_at(row, "other_gain"),
         .advantage = number_at(row, "advantage"),
         .advantage_interval = maybe_bounds(row, "advantage_interval"),
         .advantage_difference = maybe_number(row, "advantage_difference"),
         .advantage_difference_interval = maybe_bounds(row, "advantage_difference_interval"),
         .mean_retrieved = number_at(row, "mean_retrieved"),
         .cache_bytes = number_at(row, "cache_bytes")});
  });
  return result;
}

// A row has a figure NAME wherever it has a NAME_interval or, in means over tasks, a figure that
// another row has an interval of.
TaskResult tasks_of(const JsonView& file) {
  constexpr std::string_view kEnd = "_interval", kDifference = "_difference";
  const JsonView rows = file.at("rows");
  std::vector<std::string> figures;
  for_each(rows, [&](const JsonView& row) {
    for (const auto& [key, value] : row.value().items()) {
      if (!key.ends_with(kEnd)) continue;
      const std::string name = key.substr(0, key.size() - kEnd.size());
      if (name.ends_with(kDifference)) continue;
      if (std::find(figures.begin(), figures.end(), name) == figures.end()) figures.push_back(name);
    }
  });
  TaskResult result;
  for_each(rows, [&](const JsonView& row) {
    for (const std::string& name : figures) {
      const std::string difference = name + "_difference";
      const auto value = maybe_number(row, name.c_str());
      if (!value) continue;
      result.rows.push_back(
          {.task = string_at(row, "task"),
           .policy = string_at(row, "policy"),
           .figure = name,
           .samples = count_at(row, "samples"),
           .value = *value,
           .interval = maybe_bounds(row, (name + "_interval").c_str()),
           .difference = maybe_number(row, difference.c_str()),
           .difference_interval = maybe_bounds(row, (difference + "_interval").c_str()),
           .mean_retrieved = number_at(row, "mean_retrieved"),
           .cache_bytes = number_at(row, "cache_bytes")});
    }
  });
  if (result.rows.empty()) rows.fail("hold no figure with an interval");
  return result;
}

BenchResult bench_of(const JsonView& file) {
  BenchResult result;
  if (const auto what = file.find("what")) result.what = what->string();
  for_each(file.at("rows"), [&](const JsonView& row) {
    result.rows.push_back({.policy = string_at(row, "policy"),
                           .length = row.at("length").integer(1, kMost),
                           .tokens_per_s = number_at(row, "tokens_per_s"),
                           .slowest = number_at(row, "slowest"),
                           .fastest = number_at(row, "fastest"),
                           .cache_bytes = number_at(row, "cache_bytes"),
                           .peak_bytes = number_at(row, "peak_bytes"),
                           .operations = maybe_number(row, "operations"),
                           .cache_bytes_read = maybe_number(row, "cache_bytes_read")});
    if (row.find("segments") && result.what.empty())
      result.what = "prefill";  // nothing else has them
    for (const char* key : {"tokens_per_s", "slowest", "fastest"})
      if (number_at(row, key) <= 0) row.at(key).fail("is not above zero");
  });
  if (const auto exponents = file.find("exponents"))
    for (const auto& [policy, value] : exponents->value().items())
      if (const auto exponent = maybe_number(*exponents, policy.c_str()))
        result.exponents.emplace_back(policy, *exponent);
  if (const auto growth = file.find("growth"))
    for_each(*growth, [&](const JsonView& of) {
      const auto exponent = maybe_number(of, "exponent");
      if (!exponent) return;
      const auto low = maybe_number(of, "low"), high = maybe_number(of, "high");
      result.growth.push_back(
          {.policy = string_at(of, "policy"),
           .of = string_at(of, "of"),
           .exponent = *exponent,
           .interval = low && high ? std::optional(Bounds{*low, *high}) : std::nullopt});
    });
  return result;
}

void add_measured(const JsonView& view, SweepResult::Row& row) {
  row.perplexity = number_at(view, "perplexity");
  row.full_perplexity = number_at(view, "full_perplexity");
  for (const char* key : {"perplexity", "full_perplexity"})
    if (number_at(view, key) <= 0) view.at(key).fail("is not above zero");
  row.change_percent = number_at(view, "change_percent");
  row.change = maybe_bounds(view, "change_interval");
  row.kl = number_at(view, "kl");
  row.mean_retrieved = number_at(view, "mean_retrieved");
  row.cache_bytes = number_at(view, "cache_bytes");
  row.tokens_per_s = number_at(view, "tokens_per_s");
  row.train_tokens_per_s = number_at(view, "train_tokens_per_s");
  row.needle_accuracy = maybe_number(view, "needle_accuracy");
  row.steps = count_at(view, "steps");
  row.train_seconds = number_at(view, "train_seconds");
}

SweepResult sweep_of(const JsonView& file) {
  SweepResult result;
  for_each(file.at("rows"), [&](const JsonView& view) {
    SweepResult::Row row;
    row.point = string_at(view, "point");
    row.top_k = number_at(view, "topk");
    row.slots = number_at(view, "slots");
    row.beta = number_at(view, "beta");
    row.lambda_ret = number_at(view, "lambda_ret");
    row.lambda_comp = number_at(view, "lambda_comp");
    const std::string state = string_at(view, "state");
    if (state == "failed") row.failure = string_at(view, "message");
    row.is_finished = state == "finished";
    if (row.is_finished) add_measured(view, row);
    result.rows.push_back(std::move(row));
  });
  return result;
}

AnswerResult::Answer answer_of(const JsonView& view, const std::string& question) {
  AnswerResult::Answer answer{.question = question,
                              .text = string_at(view, "answer"),
                              .rank = {},
                              .is_right = {},
                              .passages = {}};
  if (const auto rank = view.find("rank")) answer.rank = rank->integer(0, kMost);
  if (const auto right = view.find("right")) answer.is_right = right->boolean();
  for_each(view.at("passages"), [&](const JsonView& passage) {
    answer.passages.push_back({.file = string_at(passage, "file"),
                               .start = count_at(passage, "start"),
                               .end = count_at(passage, "end"),
                               .weight = number_at(passage, "weight")});
    if (answer.passages.back().end < answer.passages.back().start)
      passage.at("end").fail("is before its start");
  });
  return answer;
}

AnswerResult question_set_of(const JsonView& file) {
  AnswerResult result{
      .way = string_at(file, "way"), .n_found = count_at(file, "found"), .answers = {}};
  for_each(file.at("answers"), [&](const JsonView& answer) {
    result.answers.push_back(answer_of(answer, string_at(answer, "question")));
  });
  return result;
}

AnswerResult ask_of(const JsonView& file) {
  const auto config = file.find("config");
  const auto question = config ? config->find("question") : std::nullopt;
  return {
      .way = "", .n_found = {}, .answers = {answer_of(file, question ? question->string() : "")}};
}

std::vector<std::string> words_of(const nlohmann::json& value) {
  if (value.is_string()) return {value.get<std::string>()};
  if (!value.is_array()) return {value.dump()};
  std::vector<std::string> words;
  for (const nlohmann::json& item : value)
    for (std::string& word : words_of(item)) words.push_back(std::move(word));
  return words;
}

Options options_of(const JsonView& file) {
  Options options;
  const auto config = file.find("config");
  if (!config) return options;
  if (!config->is_object()) config->fail("is no object");
  for (const auto& [name, value] : config->value().items()) {
    const bool says_nothing =
        value.is_null() || value == false || value == "" || (value.is_array() && value.empty());
    if (says_nothing) continue;
    options.push_back({name, value == true ? std::vector<std::string>{} : words_of(value)});
  }
  return options;
}

auto result_of(const JsonView& file) -> decltype(ResultFile::result) {
  if (!file.is_object()) file.fail(concat("is no JSON object: ", kWanted));
  if (const auto status = file.find("status"); status && status->value() == "error") {
    const auto message = file.find("message");
    file.fail(concat("is what a command wrote that failed",
                     message && message->is_string() ? ": " + message->string() : ""));
  }
  if (file.find("answers")) return question_set_of(file);
  if (file.find("passages")) return ask_of(file);
  if (const auto rows = file.find("rows")) {
    if (rows->size() == 0) rows->fail("is empty");
    const JsonView first = (*rows)[0];
    if (first.find("point")) return sweep_of(file);
    if (first.find("task")) return tasks_of(file);
    if (first.find("perplexity")) return perplexity_of(file);
    if (first.find("own_gain")) return gist_of(file);
    if (first.find("accuracy")) return needle_of(file);
    if (first.find("slowest")) return bench_of(file);
  }
  file.fail(concat("is no result that a report can show: ", kWanted));
}

}  // namespace

ResultFile read_result(const std::filesystem::path& path) {
  const std::string content = read_file(path, kMostBytes);
  DSRASQ_CHECK(content.find_first_not_of(" \t\r\n") != std::string::npos, kBadInput, kWhere,
               path.string(), " is empty: ", kWanted);
  const nlohmann::json json = text::parse_json(content, path.string());
  const JsonView view(json, path.string());
  return {.path = path.string(),
          .stem = path.stem().string(),
          .options = options_of(view),
          .result = result_of(view)};
}

void tell_apart(std::vector<ResultFile>& files) {
  std::map<std::string, int> uses;
  for (const ResultFile& file : files) ++uses[file.stem];
  for (ResultFile& file : files) {
    const auto folder = std::filesystem::path(file.path).parent_path().filename();
    if (uses[file.stem] > 1 && !folder.empty()) file.stem = concat(folder.string(), '/', file.stem);
  }
}

}  // namespace dsrasq::report
