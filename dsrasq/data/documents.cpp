#include "dsrasq/data/documents.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInDocuments = "data.documents";

// Keeps the two fields that matter and builds nothing of the rest, so that a hostile record takes
// no more memory than its own length.
class RecordHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::optional<std::string> text, title;
  size_t error_position = 0;
  bool is_object = false;

  bool null() override { return skip(); }
  bool boolean(bool) override { return skip(); }
  bool number_integer(number_integer_t) override { return skip(); }
  bool number_unsigned(number_unsigned_t) override { return skip(); }
  bool number_float(number_float_t, const string_t&) override { return skip(); }
  bool binary(binary_t&) override { return skip(); }
  bool string(string_t& value) override {
    if (field_ != nullptr) *field_ = std::move(value);
    field_ = nullptr;
    return true;
  }
  bool start_object(size_t) override {
    is_object = is_object || depth_ == 0;
    return enter();
  }
  bool key(string_t& name) override {
    field_ = depth_ != 1 ? nullptr : name == "text" ? &text : name == "title" ? &title : nullptr;
    if (field_ != nullptr) field_->reset();  // of two equal keys the last one counts
    return true;
  }
  bool end_object() override { return leave(); }
  bool start_array(size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    error_position = position;
    return false;
  }

 private:
  bool skip() {
    field_ = nullptr;
    return true;
  }
  bool enter() {
    ++depth_;
    return skip();
  }
  bool leave() {
    --depth_;
    return true;
  }

  std::optional<std::string>* field_ = nullptr;
  int64_t depth_ = 0;
};

}  // namespace

DocumentReader::DocumentReader(const std::filesystem::path& path, const ReadOptions& options)
    : reader_(path, options), is_jsonl_(names_jsonl(path)) {}

std::optional<Document> DocumentReader::next() {
  if (!is_jsonl_) {
    if (n_read_++ > 0) return std::nullopt;
    return Document{reader_.name(), reader_.rest()};
  }
  std::string line;
  do {
    if (!reader_.next_line(line)) {
      DSRASQ_CHECK(n_read_ > 0, kBadInput, kInDocuments, reader_.name(), " holds no record");
      return std::nullopt;
    }
  } while (line.find_first_not_of(" \t\r") == std::string::npos);
  const auto where = [&] { return concat(reader_.name(), " line ", reader_.line_number()); };
  RecordHandler record;
  DSRASQ_CHECK(nlohmann::json::sax_parse(line, &record), kBadInput, kInDocuments, where(),
               " is not JSON (at byte ", record.error_position, " of the line)");
  DSRASQ_CHECK(record.is_object, kBadInput, kInDocuments, where(), " is not a JSON object");
  DSRASQ_CHECK(record.text.has_value(), kBadInput, kInDocuments, where(),
               " has no string \"text\"");
  ++n_read_;
  return Document{
      record.title ? std::move(*record.title) : concat(reader_.name(), ':', reader_.line_number()),
      std::move(*record.text)};
}

bool names_jsonl(const std::filesystem::path& path) {
  return unpacked_name(path).extension() == ".jsonl";
}

std::vector<Document> read_documents(const std::filesystem::path& path,
                                     const ReadOptions& options) {
  DocumentReader reader(path, options);
  std::vector<Document> documents;
  while (std::optional<Document> document = reader.next()) {
    documents.push_back(std::move(*document));
  }
  return documents;
}

}  // namespace dsrasq::data
