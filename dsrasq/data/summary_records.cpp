// Texts with summaries: CNN/DailyMail, XSum and SAMSum by their usual field names, and the meetings
// of QMSum (Zhong et al. 2021).

#include <charconv>

#include "dsrasq/core/error.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {

using text::JsonView;

namespace {

struct FieldNames {
  const char *text, *summary;
};
constexpr FieldNames kFieldNames[] = {
    {"document", "summary"}, {"article", "highlights"}, {"dialogue", "summary"}};

// QMSum writes the numbers of turns as strings.
size_t turn_number(const JsonView& value, size_t n_turns) {
  const std::string& text = value.string();
  size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number >= n_turns)
    value.fail(concat("is no number of one of the ", n_turns, " turns"));
  return number;
}

void mark_supporting(const JsonView& spans, std::vector<TaskDocument>& turns) {
  for (size_t i = 0; i < spans.size(); ++i) {
    const size_t last = turn_number(spans[i][1], turns.size());
    for (size_t at = turn_number(spans[i][0], turns.size()); at <= last; ++at)
      turns[at].is_supporting = true;
  }
}

}  // namespace

std::vector<TaskSample> parse_summary(const JsonView& record) {
  for (const FieldNames& names : kFieldNames) {
    const auto text = record.find(names.text);
    if (!text) continue;
    return {{.format = TaskFormat::kSummary,
             .id = id_of(record.find("id")),
             .documents = {{"", filled_string(*text)}},
             .references = {filled_string(record.at(names.summary))}}};
  }
  record.fail("lacks \"document\", \"article\" and \"dialogue\"");
}

std::vector<TaskSample> parse_qmsum(const JsonView& record) {
  std::vector<TaskDocument> turns;
  const JsonView transcript = record.at("meeting_transcripts");
  for (size_t i = 0; i < transcript.size(); ++i)
    turns.push_back({transcript[i].at("speaker").string(), transcript[i].at("content").string()});
  std::vector<TaskSample> samples;
  for (const char* kind : {"general", "specific"}) {
    const auto queries = record.find(concat(kind, "_query_list").c_str());
    for (size_t i = 0; queries && i < queries->size(); ++i) {
      const JsonView query = (*queries)[i];
      TaskSample sample{.format = TaskFormat::kQmsum,
                        .task = concat("qmsum_", kind),
                        .id = concat(kind, '/', i),
                        .documents = turns,
                        .question = filled_string(query.at("query")),
                        .references = {filled_string(query.at("answer"))}};
      if (const auto spans = query.find("relevant_text_span"))
        mark_supporting(*spans, sample.documents);
      samples.push_back(std::move(sample));
    }
  }
  if (samples.empty()) record.fail("has neither general nor specific queries");
  return samples;
}

}  // namespace dsrasq::data
