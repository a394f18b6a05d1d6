#pragma once

// The objects of a JSON file one after another: JSON Lines, the items of one array, or one object.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

struct JsonRecord {
  std::string text;   ///< from its brace to the closing one; what is between is not checked
  std::string place;  ///< "FILE record 3 (line 3)"
};

/// Holds one record at a time, so that an array of gigabytes takes no more than its largest item.
class JsonRecordReader {
 public:
  /// Throws kBadInput as TextReader does.
  explicit JsonRecordReader(const std::filesystem::path& path, const ReadOptions& options = {});

  /// The next record; nothing at the end. Throws kBadInput naming the file and the record or line
  /// where there is something else than an object, or where the file is cut off, holds no record,
  /// or a record is longer than `max_record_bytes`.
  [[nodiscard]] std::optional<JsonRecord> next();

 private:
  bool has_byte();
  char take();
  /// Goes to the brace of the next record; false at the end of the file.
  bool find_record();
  void copy_record(JsonRecord& record);

  TextReader reader_;
  uint64_t max_record_bytes_;
  std::string_view block_;
  int64_t n_records_ = 0, line_ = 1;
  bool is_array_ = false, is_closed_ = false;  ///< a bracket was found; its end was found
};

}  // namespace dsrasq::data
