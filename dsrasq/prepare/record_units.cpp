#include "dsrasq/prepare/record_units.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "dsrasq/data/time_stamp.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::prepare {
namespace {

using data::CorpusRecord;
using Json = nlohmann::ordered_json;

void sort_by_stream(std::vector<CorpusRecord>& records) {
  std::map<std::string, size_t> order;
  for (const CorpusRecord& record : records) order.emplace(record.stream, order.size());
  std::stable_sort(records.begin(), records.end(),
                   [&](const CorpusRecord& a, const CorpusRecord& b) {
                     return order.at(a.stream) < order.at(b.stream);
                   });
}

void sort_by_time(std::vector<CorpusRecord>& records) {
  std::stable_sort(
      records.begin(), records.end(),
      [](const CorpusRecord& a, const CorpusRecord& b) { return a.time_ms < b.time_ms; });
}

class RecordUnits : public UnitSource {
 public:
  RecordUnits(std::vector<CorpusRecord> records, DatasetKind kind, const text::Tokenizer& tokenizer)
      : records_(std::move(records)), kind_(kind), tokenizer_(tokenizer) {
    if (kind == DatasetKind::kStream) sort_by_time(records_);
    if (kind == DatasetKind::kDialogue) sort_by_stream(records_);
  }

  size_t size() const override { return records_.size(); }
  uint64_t weight(size_t index) const override { return records_[index].text.size(); }

  bool begins_document(size_t index) const override {
    if (kind_ == DatasetKind::kDocuments || index == 0) return true;
    return kind_ == DatasetKind::kDialogue && records_[index].stream != records_[index - 1].stream;
  }

  EncodedUnit encode(size_t index) const override {
    const CorpusRecord& record = records_[index];
    std::string text = record.text;
    if (kind_ != DatasetKind::kDocuments) {
      text.resize(text.find_last_not_of(" \t\r\n") + 1);
      text += "\n\n";
    }
    Json row{{"id", record.id}};
    if (!record.title.empty()) row["title"] = record.title;
    if (record.time_ms) row["time"] = data::iso_time(*record.time_ms);
    if (!record.stream.empty()) row["stream"] = record.stream;
    return {tokenizer_.encode(text), row.dump(-1, ' ', false, Json::error_handler_t::replace)};
  }

 private:
  std::vector<CorpusRecord> records_;
  DatasetKind kind_;
  const text::Tokenizer& tokenizer_;
};

}  // namespace

std::unique_ptr<UnitSource> record_units(std::vector<CorpusRecord> records, DatasetKind kind,
                                         const text::Tokenizer& tokenizer) {
  return std::make_unique<RecordUnits>(std::move(records), kind, tokenizer);
}

}  // namespace dsrasq::prepare
