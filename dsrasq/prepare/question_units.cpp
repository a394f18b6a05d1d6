#include "dsrasq/prepare/question_units.h"

#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"

namespace dsrasq::prepare {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kBytesPerToken = 4;  // about; only decides where parts end

Json json_of(train::TokenRange range) { return {range.begin, range.end}; }

class QuestionUnits : public UnitSource {
 public:
  explicit QuestionUnits(QuestionContexts contexts) : contexts_(std::move(contexts)) {}

  size_t size() const override { return contexts_.size(); }
  bool begins_document(size_t) const override { return true; }

  uint64_t weight(size_t index) const override {
    uint64_t bytes = static_cast<uint64_t>(contexts_.length()) * kBytesPerToken;
    for (const data::TaskDocument& document : contexts_.sample(index).documents)
      bytes += document.text.size();
    return bytes;
  }

  EncodedUnit encode(size_t index) const override {
    const data::TaskSample& sample = contexts_.sample(index);
    QuestionText text = contexts_.make(index);
    Json row{{"id", sample.id}, {"task", sample.task}};
    if (!sample.question.empty()) row["question"] = sample.question;
    if (!text.said.option.empty()) row["option"] = text.said.option;
    row["answer"] = text.said.text;
    if (sample.references.size() > 1) row["references"] = sample.references;
    row["passages"] = text.n_passages;
    row["question_tokens"] = json_of(text.question);
    row["answer_tokens"] = json_of(text.answer);
    Json gold = Json::array();
    for (const train::TokenRange range : text.gold) gold.push_back(json_of(range));
    row["gold_tokens"] = gold;
    row["gold_titles"] = text.gold_titles;
    return {std::move(text.ids), row.dump(-1, ' ', false, Json::error_handler_t::replace)};
  }

 private:
  QuestionContexts contexts_;
};

}  // namespace

std::unique_ptr<UnitSource> question_units(QuestionContexts contexts) {
  return std::make_unique<QuestionUnits>(std::move(contexts));
}

}  // namespace dsrasq::prepare
