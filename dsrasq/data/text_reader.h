#pragma once

// Text files, line by line or whole, and the refusal of what is not text.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/data/byte_stream.h"

namespace dsrasq::data {

struct ReadOptions {
  uint64_t max_bytes = 4ull << 30;           ///< of decompressed text in one file
  uint64_t max_record_bytes = 256ull << 20;  ///< in one line of a .jsonl file
};

/// A text file, plain or xz. A UTF-8 byte order mark at its start is dropped; bytes that are not
/// UTF-8 are kept as they are.
class TextReader {
 public:
  /// Throws kBadInput, naming the file and where possible the offset, when it cannot be read, is
  /// empty, or is binary: a NUL byte, or more than 10 % that is not UTF-8, in its first 64 KiB.
  explicit TextReader(const std::filesystem::path& path, const ReadOptions& options = {});

  /// The next line without its end (LF or CR LF); false at the end of the file. Throws kBadInput
  /// naming the line when it is longer than `max_record_bytes`.
  [[nodiscard]] bool next_line(std::string& line);
  /// Of the line that `next_line` delivered last, from 1.
  int64_t line_number() const { return line_number_; }

  /// All that was not read yet.
  [[nodiscard]] std::string rest();

  /// Some of what was not read yet, for readers that look for other ends than those of lines; empty
  /// at the end of the file. Valid until the next call of anything here.
  [[nodiscard]] std::string_view next_block();

  const std::string& name() const { return stream_.name(); }

 private:
  bool refill();

  ByteStream stream_;
  ReadOptions options_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;  // of what the buffer holds
  int64_t line_number_ = 0;
};

}  // namespace dsrasq::data
