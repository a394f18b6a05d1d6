#pragma once

// Corpora as documents: one from a text file, one per record from a .jsonl file.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

struct Document {
  std::string name;  ///< the record's "title", else "FILE:LINE"; the path of a text file
  std::string text;  ///< as it stands in the file, also where it is not UTF-8
};

/// Reads the documents of one file in order, holding one at a time. A name that ends in `.jsonl`
/// (or `.jsonl.xz`, `.jsonl.gz`) has one JSON object a line with a string "text"; blank lines are
/// skipped. Every other file, and `-` (standard input), is one document of plain text.
class DocumentReader {
 public:
  /// Throws kBadInput as TextReader does.
  explicit DocumentReader(const std::filesystem::path& path, const ReadOptions& options = {});

  /// The next document; nothing at the end. Throws kBadInput naming the file and the line of a
  /// record that is not JSON, not an object or without "text", and the file when it has no record.
  [[nodiscard]] std::optional<Document> next();

 private:
  TextReader reader_;
  bool is_jsonl_;
  int64_t n_read_ = 0;
};

/// Whether a file of this name has a document a line.
bool names_jsonl(const std::filesystem::path& path);

/// All documents of a file at once.
std::vector<Document> read_documents(const std::filesystem::path& path,
                                     const ReadOptions& options = {});

}  // namespace dsrasq::data
