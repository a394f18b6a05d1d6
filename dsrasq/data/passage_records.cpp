// Passages with several questions each: SQuAD 1.1 (Rajpurkar et al. 2016) and MultiRC (Khashabi et
// al. 2018) as SuperGLUE has it.

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/data/task_formats.h"

namespace dsrasq::data {

using text::JsonView;

namespace {

// The different answers of one SQuAD question: several people may have given the same.
std::vector<std::string> squad_answers(const JsonView& answers) {
  std::vector<std::string> texts;
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string& text = filled_string(answers[i].at("text"));
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
  }
  if (texts.empty()) answers.fail("is empty: only questions with an answer can be scored");
  return texts;
}

}  // namespace

std::vector<TaskSample> parse_squad(const JsonView& record) {
  std::vector<TaskSample> samples;
  const JsonView articles = record.at("data");
  for (size_t i = 0; i < articles.size(); ++i) {
    const std::string& title = articles[i].at("title").string();
    const JsonView paragraphs = articles[i].at("paragraphs");
    for (size_t j = 0; j < paragraphs.size(); ++j) {
      const std::string& text = filled_string(paragraphs[j].at("context"));
      const JsonView questions = paragraphs[j].at("qas");
      for (size_t k = 0; k < questions.size(); ++k)
        samples.push_back({.format = TaskFormat::kSquad,
                           .id = id_of(questions[k].at("id")),
                           .documents = {{title, text}},
                           .question = filled_string(questions[k].at("question")),
                           .references = squad_answers(questions[k].at("answers"))});
    }
  }
  return samples;
}

std::vector<TaskSample> parse_multirc(const JsonView& record) {
  std::vector<TaskSample> samples;
  const std::string passage_id = id_of(record.at("idx"));
  const JsonView passage = record.at("passage");
  const std::string& text = filled_string(passage.at("text"));
  const JsonView questions = passage.at("questions");
  for (size_t i = 0; i < questions.size(); ++i) {
    TaskSample sample{.format = TaskFormat::kMultiRc,
                      .id = concat(passage_id, '/', id_of(questions[i].at("idx"))),
                      .documents = {{"", text}},
                      .question = filled_string(questions[i].at("question"))};
    const JsonView answers = questions[i].at("answers");
    for (size_t j = 0; j < answers.size(); ++j)
      sample.options.push_back(  // the official training file has an empty one
          {answers[j].at("text").string(), answers[j].at("label").integer(0, 1) == 1});
    if (sample.options.empty()) answers.fail("is empty: there is nothing to judge");
    samples.push_back(std::move(sample));
  }
  return samples;
}

}  // namespace dsrasq::data
