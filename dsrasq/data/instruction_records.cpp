// Examples to train on, not to score: prompts with completions (P3, Sanh et al. 2022; FLAN, Wei et
// al. 2022), and dialogues as Schema-Guided Dialogue has them (Rastogi et al. 2020).

#include "dsrasq/core/error.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {

using text::JsonView;

std::vector<TaskSample> parse_instruction(const JsonView& record) {
  const bool is_p3 = record.find("inputs").has_value();
  const std::string& prompt = record.at(is_p3 ? "inputs" : "prompt").string();
  const std::string& completion = record.at(is_p3 ? "targets" : "completion").string();
  if (is_blank(prompt) || is_blank(completion)) return {};  // P3 has some; nothing to learn
  return {{.format = TaskFormat::kInstruction,
           .documents = {{"", prompt}},
           .references = {completion}}};
}

std::vector<TaskDocument> turns_of(const JsonView& record) {
  const JsonView turns = record.at("turns");
  if (turns.size() < 2) turns.fail("has fewer than two turns: there is no reply");
  std::vector<TaskDocument> out;
  for (size_t i = 0; i < turns.size(); ++i)
    out.push_back({filled_string(turns[i].at("speaker")), filled_string(turns[i].at("utterance"))});
  return out;
}

// Every turn of the one who answers is a sample: what was said before, and the reply.
std::vector<TaskSample> parse_dialogue(const JsonView& record) {
  const std::vector<TaskDocument> turns = turns_of(record);
  const std::string id = id_of(record.find("dialogue_id"));
  std::vector<TaskSample> samples;
  for (size_t i = 1; i < turns.size(); ++i)
    if (turns[i].title != turns[0].title)
      samples.push_back({.format = TaskFormat::kDialogue,
                         .id = id.empty() ? "" : concat(id, '/', i),
                         .documents = {turns.begin(), turns.begin() + static_cast<ptrdiff_t>(i)},
                         .answer_start = turns[i].title + ":",
                         .references = {turns[i].text}});
  if (samples.empty()) record.at("turns").fail("are all of one speaker: there is no reply");
  return samples;
}

}  // namespace dsrasq::data
