// Plain text, Markdown and JSON Lines with a text a record.

#include "dsrasq/core/error.h"
#include "dsrasq/data/corpus_formats.h"
#include "dsrasq/data/documents.h"

namespace dsrasq::data {
namespace {

class Texts : public RecordSource {
 public:
  Texts(const std::filesystem::path& path, const ReadOptions& options)
      : reader_(path, options), name_(path.string()), is_jsonl_(names_jsonl(path)) {}

  std::optional<CorpusRecord> next() override {
    auto document = reader_.next();
    if (!document) return std::nullopt;
    ++n_read_;
    const std::string id = is_jsonl_ ? concat(name_, '/', n_read_) : name_;
    return CorpusRecord{.id = id,
                        .title = is_jsonl_ ? std::move(document->name) : std::string(),
                        .text = std::move(document->text)};
  }

 private:
  DocumentReader reader_;
  std::string name_;
  bool is_jsonl_;
  int64_t n_read_ = 0;
};

}  // namespace

std::unique_ptr<RecordSource> read_texts(const std::filesystem::path& path,
                                         const ReadOptions& options) {
  return std::make_unique<Texts>(path, options);
}

}  // namespace dsrasq::data
