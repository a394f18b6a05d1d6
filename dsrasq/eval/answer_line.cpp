#include "dsrasq/eval/answer_line.h"

#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/task_rows.h"
#include "dsrasq/metrics/python_text.h"

namespace dsrasq::eval {

using Json = nlohmann::ordered_json;
using metrics::repaired;  // what is written has to be UTF-8

std::vector<std::string> line_keys() { return {"task", "id", "policy"}; }

Json answer_line(const data::TaskSample& sample, const std::string& policy,
                 const TaskAnswer& answer, const std::vector<Score>& scores,
                 const std::string& fingerprint) {
  std::vector<std::string> references = shown_references(sample);
  for (std::string& reference : references) reference = repaired(reference);
  Json line{{"task", repaired(sample.task)},
            {"id", repaired(sample.id)},
            {"policy", policy},
            {"question", repaired(sample.question)},
            {"prediction", answer.text},
            {"references", references},
            {"scores", to_json(scores)},
            {"prompt_tokens", answer.prompt_tokens},
            {"answer_tokens", answer.answer_tokens},
            {"mean_retrieved", answer.mean_retrieved},
            {"cache_bytes", answer.cache_bytes},
            {"seconds", answer.seconds}};
  if (answer.cache_hit_rate) line["cache_hit_rate"] = *answer.cache_hit_rate;
  if (answer.first_token_seconds > 0) line["first_token_seconds"] = answer.first_token_seconds;
  if (answer.support) {
    line["retrieved_support"] = answer.support->retrieved;
    line["support_share"] = answer.support->of_prompt;
  }
  line["run"] = fingerprint;
  return line;
}

Json kept_line(const PredictionFile& file, const data::TaskSample& sample,
               const std::string& policy, const std::string& fingerprint) {
  const auto kept = file.find({repaired(sample.task), repaired(sample.id), policy});
  if (kept.fields == nullptr) return {};
  DSRASQ_CHECK(kept.fields->value("run", Json()) == fingerprint, kBadInput, "eval.answer_line",
               file.name(), " line ", kept.number, " was made with another model, other options ",
               "or other data: give these options, or name another --predictions file");
  return *kept.fields;
}

std::string first_score(const Json& line) {
  for (const auto& [name, value] : line.at("scores").items())
    if (value.is_number()) return concat(", ", name, ' ', value.get<double>());
  return "";
}

Json lines_result(Json lines) {
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

}  // namespace dsrasq::eval
