// Questions with several documents each: HotpotQA (Yang et al. 2018), MuSiQue (Trivedi et al.
// 2022), Natural Questions with retrieved passages (Lee et al. 2019; Liu et al. 2024).

#include <algorithm>
#include <set>

#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {

using text::JsonView;

std::vector<TaskSample> parse_hotpotqa(const JsonView& record) {
  TaskSample sample{.format = TaskFormat::kHotpotQa, .id = id_of(record.at("_id"))};
  sample.question = filled_string(record.at("question"));
  sample.references = {filled_string(record.at("answer"))};
  std::set<std::string> supporting;  // titles
  if (const auto facts = record.find("supporting_facts"))
    for (size_t i = 0; i < facts->size(); ++i) supporting.insert((*facts)[i][0].string());
  const JsonView context = record.at("context");
  for (size_t i = 0; i < context.size(); ++i) {
    TaskDocument document{context[i][0].string(), {}};
    const JsonView sentences = context[i][1];  // with the spaces between them
    for (size_t j = 0; j < sentences.size(); ++j) document.text += sentences[j].string();
    document.is_supporting = supporting.contains(document.title);
    sample.documents.push_back(std::move(document));
  }
  return {sample};
}

std::vector<TaskSample> parse_musique(const JsonView& record) {
  const auto answerable = record.find("answerable");
  if (answerable && !answerable->boolean())
    answerable->fail("is false: only the answerable questions of MuSiQue can be scored");
  TaskSample sample{.format = TaskFormat::kMusique, .id = id_of(record.at("id"))};
  sample.question = filled_string(record.at("question"));
  sample.references = {filled_string(record.at("answer"))};
  if (const auto aliases = record.find("answer_aliases"))
    for (size_t i = 0; i < aliases->size(); ++i)
      sample.references.push_back(filled_string((*aliases)[i]));
  const JsonView paragraphs = record.at("paragraphs");
  for (size_t i = 0; i < paragraphs.size(); ++i) {
    const auto supporting = paragraphs[i].find("is_supporting");
    sample.documents.push_back({paragraphs[i].at("title").string(),
                                paragraphs[i].at("paragraph_text").string(),
                                supporting && supporting->boolean()});
  }
  return {sample};
}

std::vector<TaskSample> parse_nq_open(const JsonView& record) {
  TaskSample sample{.format = TaskFormat::kNqOpen, .id = id_of(record.find("id"))};
  sample.question = filled_string(record.at("question"));
  sample.references = filled_strings(record.at("answers"));
  const JsonView passages = record.at("ctxs");
  for (size_t i = 0; i < passages.size(); ++i) {
    const auto gold = passages[i].find("isgold");
    sample.documents.push_back({passages[i].at("title").string(), passages[i].at("text").string(),
                                gold && gold->boolean()});
  }
  return {sample};
}

}  // namespace dsrasq::data
