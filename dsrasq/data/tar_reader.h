#pragma once

// The files of a tar archive, plain or compressed, one after another.

#include <filesystem>
#include <optional>
#include <string>

#include "dsrasq/data/byte_stream.h"
#include "dsrasq/data/text_reader.h"

namespace dsrasq::data {

struct TarMember {
  std::string name;   ///< its path in the archive
  std::string bytes;  ///< of a whole file
};

/// Reads archives in the formats ustar, pax and GNU (Debian's and BSD's `tar` write them), holding
/// one file at a time. Folders, links and devices are passed over.
class TarReader {
 public:
  /// Throws kBadInput as ByteStream does.
  explicit TarReader(const std::filesystem::path& path, const ReadOptions& options = {});

  /// Whether the file at `path` can be read and begins as a tar archive does.
  static bool is_one(const std::filesystem::path& path);

  /// The next file; nothing at the end. Throws kBadInput naming the archive, and where it can the
  /// file in it, when the archive is damaged or cut off, or the file has more than
  /// `max_record_bytes`.
  [[nodiscard]] std::optional<TarMember> next();

 private:
  /// What is `size` bytes long and stands here, with the fill behind it.
  std::string take(uint64_t size, const std::string& what);

  ByteStream stream_;
  uint64_t max_member_bytes_;
};

}  // namespace dsrasq::data
