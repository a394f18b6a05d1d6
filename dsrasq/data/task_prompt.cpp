#include "dsrasq/data/task_prompt.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::data {
namespace {

using View = std::string_view;

constexpr const char* kInTaskPrompt = "data.task_prompt";
constexpr View kSpace = " \t\r\n";

std::string language_name(const std::string& code) {
  constexpr std::array<std::pair<View, View>, 14> kNames{{{"cs", "Czech"},
                                                          {"de", "German"},
                                                          {"en", "English"},
                                                          {"es", "Spanish"},
                                                          {"et", "Estonian"},
                                                          {"fi", "Finnish"},
                                                          {"fr", "French"},
                                                          {"it", "Italian"},
                                                          {"nl", "Dutch"},
                                                          {"pl", "Polish"},
                                                          {"pt", "Portuguese"},
                                                          {"ro", "Romanian"},
                                                          {"ru", "Russian"},
                                                          {"tr", "Turkish"}}};
  for (const auto& [known, name] : kNames)
    if (known == code) return std::string(name);
  throw Error(ErrorCode::kInvalidArgument, kInTaskPrompt,
              concat("no language is known by \"", code,
                     "\": name the files by their languages, as test.en test.de"));
}

std::string trimmed(View text) {
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return std::string(text.substr(0, text.find_last_not_of(kSpace) + 1));
}

std::string json_string(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Each of the names in braces by its value, in one pass: values are not looked into.
std::string filled(View text, const std::vector<std::pair<View, View>>& values) {
  std::string out;
  while (!text.empty()) {
    const size_t at = std::min(text.find('{'), text.size());
    out += text.substr(0, at);
    text.remove_prefix(at);
    const auto value = std::find_if(values.begin(), values.end(),
                                    [&](const auto& pair) { return text.starts_with(pair.first); });
    if (value != values.end()) out += value->second;
    const size_t taken = value != values.end() ? value->first.size() : text.empty() ? 0 : 1;
    if (value == values.end()) out += text.substr(0, taken);
    text.remove_prefix(taken);
  }
  return out;
}

}  // namespace

std::string shown_document(DocumentLayout layout, const TaskDocument& document, size_t number) {
  switch (layout) {
    case DocumentLayout::kPassages:
      return concat("Passage ", number, document.title.empty() ? "" : ": ", document.title, '\n',
                    document.text, "\n\n");
    case DocumentLayout::kPlain: return document.text;
    case DocumentLayout::kLines: return document.text + '\n';
    case DocumentLayout::kTurns: return concat(document.title, ": ", document.text, '\n');
    case DocumentLayout::kPairs: break;
  }
  return concat(number == 1 ? "{" : ",\n ", json_string(document.title), ": ",
                json_string(document.text));
}

TaskPrompt task_prompt(TaskFormat format) {
  constexpr View kQuestion = "Question: {question}\nAnswer:";
  switch (format) {
    case TaskFormat::kHotpotQa:
    case TaskFormat::kMusique:
    case TaskFormat::kNqOpen:
    case TaskFormat::kSquad:
      return {DocumentLayout::kPassages,
              "Read the passages and answer the question in a few words.\n\n", kQuestion};
    case TaskFormat::kMultiRc:
      return {DocumentLayout::kPlain, "Read the passage.\n\n",
              "\n\nQuestion: {question}\nAnswer: {option}\nIs this answer right, yes or no?"};
    case TaskFormat::kSummary:
      return {DocumentLayout::kPlain, "Read the text and summarize it in a few sentences.\n\n",
              "\n\nSummary:"};
    case TaskFormat::kQmsum:
      return {DocumentLayout::kTurns, "Read the transcript of a meeting.\n\n",
              "\nQuery: {question}\nAnswer:"};
    case TaskFormat::kParallel: return {DocumentLayout::kPlain, "{from}: ", "\n{to}:"};
    case TaskFormat::kKeyValue:
      return {DocumentLayout::kPairs, "Find the value of a key in the JSON data.\n\n",
              "\n\nKey: \"{question}\"\nValue:"};
    case TaskFormat::kBabi:
      return {DocumentLayout::kLines, "Read the story and answer the question in one word.\n\n",
              "\nQuestion: {question}\nAnswer:"};
    case TaskFormat::kInstruction: return {DocumentLayout::kPlain, "", "\n"};
    case TaskFormat::kDialogue: return {DocumentLayout::kTurns, "", ""};
    case TaskFormat::kRuler: return {DocumentLayout::kPlain, "", "{question}"};
    case TaskFormat::kLongBench: break;
  }
  return {};
}

PromptText prompt_text(const TaskPrompt& wording, const TaskSample& sample, View option) {
  const bool translates = sample.format == TaskFormat::kParallel;
  const std::string from = translates ? language_name(sample.from_language) : "";
  const std::string to = translates ? language_name(sample.to_language) : "";
  const std::vector<std::pair<View, View>> values{
      {"{from}", from}, {"{to}", to}, {"{question}", sample.question}, {"{option}", option}};
  PromptText prompt{filled(wording.before, values)};
  for (size_t i = 0; i < sample.documents.size(); ++i) {
    const size_t begin = prompt.text.size();
    prompt.text += shown_document(wording.layout, sample.documents[i], i + 1);
    if (sample.documents[i].is_supporting) prompt.supporting.push_back({begin, prompt.text.size()});
  }
  if (wording.layout == DocumentLayout::kPairs) prompt.text += '}';
  prompt.question_at = prompt.text.size();
  prompt.text += filled(wording.after, values) + sample.answer_start;
  return prompt;
}

std::vector<TaskAnswer> task_answers(const TaskSample& sample) {
  std::vector<TaskAnswer> answers;
  for (const std::string& reference : sample.references)
    answers.push_back({"", trimmed(reference)});
  if (!answers.empty()) return answers;
  for (const TaskOption& option : sample.options)
    if (const std::string text = trimmed(option.text); !text.empty())
      answers.push_back({text, option.is_right ? "yes" : "no"});
  return answers;
}

std::string answer_behind(View prompt, View answer) {
  const bool needs_space = prompt.empty() || kSpace.find(prompt.back()) == View::npos;
  return concat(needs_space ? " " : "", answer);
}

bool only_evaluates(TaskFormat format) {
  return format == TaskFormat::kLongBench || format == TaskFormat::kRuler ||
         format == TaskFormat::kKeyValue;
}

}  // namespace dsrasq::data
