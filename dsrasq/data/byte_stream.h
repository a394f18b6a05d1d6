#pragma once

// The bytes of a file or of standard input in order, decompressed on the way when they are xz or
// gzip.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace dsrasq::data {

/// Reads a file from front to back in constant memory. xz and gzip are recognised by their first
/// bytes, several streams after one another included.
class ByteStream {
 public:
  /// `-` reads standard input. Throws kBadInput naming the file when it cannot be opened, is a
  /// folder, is compressed in a way that is not supported (zstd), or is a plain file of more
  /// than `max_bytes`.
  ByteStream(const std::filesystem::path& path, uint64_t max_bytes);
  ~ByteStream();
  ByteStream(ByteStream&&) noexcept;
  ByteStream& operator=(ByteStream&&) noexcept;

  /// Fills `out` unless the end comes first; returns how many bytes. Throws kBadInput, naming the
  /// file, when it is truncated or damaged, or goes on after `max_bytes` decompressed bytes.
  size_t read(std::span<char> out);

  /// The file's path, or "standard input".
  const std::string& name() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The path without an ending that says how the file is compressed: ".xz" or ".gz".
std::filesystem::path unpacked_name(std::filesystem::path path);

}  // namespace dsrasq::data
