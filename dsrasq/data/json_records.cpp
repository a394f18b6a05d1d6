#include "dsrasq/data/json_records.h"

#include "dsrasq/core/error.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInJsonRecords = "data.json_records";

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// For messages: no half characters, no control characters.
std::string shown(char c) {
  return c > ' ' && c < '\x7F' ? concat('"', c, '"')
                               : concat("byte ", static_cast<int>(static_cast<unsigned char>(c)));
}

}  // namespace

JsonRecordReader::JsonRecordReader(const std::filesystem::path& path, const ReadOptions& options)
    : reader_(path, options), max_record_bytes_(options.max_record_bytes) {}

bool JsonRecordReader::has_byte() {
  if (block_.empty()) block_ = reader_.next_block();
  return !block_.empty();
}

char JsonRecordReader::take() {
  const char c = block_.front();
  block_.remove_prefix(1);
  line_ += c == '\n';
  return c;
}

bool JsonRecordReader::find_record() {
  bool is_separated = !is_array_ || n_records_ == 0;
  while (has_byte()) {
    const char c = block_.front();
    if (c == '{' && is_separated && !is_closed_) return true;
    const bool is_comma = c == ',' && is_array_ && !is_closed_ && !is_separated;
    const bool opens = c == '[' && n_records_ == 0 && !is_array_;
    const bool closes = c == ']' && is_array_ && !is_closed_ && (!is_separated || n_records_ == 0);
    DSRASQ_CHECK(is_space(c) || is_comma || opens || closes, kBadInput, kInJsonRecords,
                 reader_.name(), " is no list of JSON objects: ", shown(c), " on line ", line_);
    is_separated = is_separated || is_comma;
    is_array_ = is_array_ || opens;
    is_closed_ = is_closed_ || closes;
    take();
  }
  DSRASQ_CHECK(!is_array_ || is_closed_, kBadInput, kInJsonRecords, reader_.name(),
               " is cut off: its array has no end");
  DSRASQ_CHECK(n_records_ > 0, kBadInput, kInJsonRecords, reader_.name(), " holds no record");
  return false;
}

void JsonRecordReader::copy_record(JsonRecord& record) {
  int64_t depth = 0;
  bool in_string = false, is_escaped = false;
  do {
    DSRASQ_CHECK(has_byte(), kBadInput, kInJsonRecords, record.place,
                 " is cut off: its braces or quotes do not close");
    DSRASQ_CHECK(record.text.size() < max_record_bytes_, kBadInput, kInJsonRecords, record.place,
                 " is longer than ", max_record_bytes_, " bytes");
    const char c = take();
    record.text += c;
    if (in_string) {
      in_string = c != '"' || is_escaped;
      is_escaped = c == '\\' && !is_escaped;
    } else {
      in_string = c == '"';
      depth += c == '{' || c == '[';
      depth -= c == '}' || c == ']';
    }
  } while (depth > 0);
}

std::optional<JsonRecord> JsonRecordReader::next() {
  if (!find_record()) return std::nullopt;
  JsonRecord record{{}, concat(reader_.name(), " record ", ++n_records_, " (line ", line_, ')')};
  copy_record(record);
  return record;
}

}  // namespace dsrasq::data
