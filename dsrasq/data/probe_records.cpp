// Long inputs: LongBench (Bai et al. 2024), RULER (Hsieh et al. 2024), and pairs of keys and values
// (Liu et al. 2024, "Lost in the Middle").

#include <algorithm>

#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {

using text::JsonView;

std::vector<TaskSample> parse_longbench(const JsonView& record) {
  TaskSample sample{.format = TaskFormat::kLongBench,
                    .task = filled_string(record.at("dataset")),
                    .id = id_of(record.find("_id"))};
  sample.documents = {{"", filled_string(record.at("context"))}};
  sample.question = record.at("input").string();
  sample.references = filled_strings(record.at("answers"));
  if (const auto classes = record.find("all_classes")) {
    for (const std::string& name : filled_strings(*classes)) {
      const bool is_right = std::find(sample.references.begin(), sample.references.end(), name) !=
                            sample.references.end();
      sample.options.push_back({name, is_right});
    }
  }
  return {sample};
}

namespace {

// Where the question of an input begins: the last line that begins as those of RULER's templates
// do. At the end where there is none.
size_t ruler_question_at(const std::string& input) {
  size_t at = std::string::npos;
  for (const char* start :
       {"\nWhat is the special magic ", "\nWhat are all the special magic ", "\nQuestion: "}) {
    const size_t found = input.rfind(start);
    if (found != std::string::npos && (at == std::string::npos || found > at)) at = found;
  }
  return at == std::string::npos ? input.size() : at + 1;
}

}  // namespace

std::vector<TaskSample> parse_ruler(const JsonView& record) {
  const auto answer_start = record.find("answer_prefix");
  const std::string input = filled_string(record.at("input"));
  const size_t question_at = ruler_question_at(input);
  return {{.format = TaskFormat::kRuler,
           .id = id_of(record.find("index")),
           .documents = {{"", input.substr(0, question_at)}},
           .question = input.substr(question_at),
           .answer_start = answer_start ? answer_start->string() : "",
           .references = filled_strings(record.at("outputs"))}};
}

std::vector<TaskSample> parse_key_value(const JsonView& record) {
  TaskSample sample{.format = TaskFormat::kKeyValue};
  const JsonView key = record.at("key"), value = record.at("value");
  sample.question = filled_string(key);
  sample.references = {filled_string(value)};
  const JsonView pairs = record.at("ordered_kv_records");
  bool is_there = false;
  for (size_t i = 0; i < pairs.size(); ++i) {
    TaskDocument document{filled_string(pairs[i][0]), filled_string(pairs[i][1])};
    document.is_supporting = document.title == sample.question;
    is_there = is_there || (document.is_supporting && document.text == value.string());
    sample.documents.push_back(std::move(document));
  }
  if (!is_there) key.fail("is not in ordered_kv_records with this value");
  return {sample};
}

}  // namespace dsrasq::data
