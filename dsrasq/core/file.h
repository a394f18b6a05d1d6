#pragma once

// Files as the program needs them: read-only maps, whole reads, and writes that either finish or
// leave nothing behind.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

namespace dsrasq {

/// A read-only memory map of a whole file. Throws kBadInput, naming the path, when it is missing,
/// not a regular file, or unreadable. An empty file maps to an empty span.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  /// Tells the kernel that the pages will not be read again soon, so that they stop counting as
  /// resident memory of this process.
  void release_pages() const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// The file's bytes. `-` reads standard input. Throws kBadInput naming the path, also when the file
/// holds more than `max_bytes`.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes = 1ull << 32);

/// Writes a file whole or not at all: a temporary file beside it, fsync, rename, fsync of the
/// folder. Throws kOutput naming the path and the reason; the temporary file is removed then, and
/// what stood at `path` before stays. What is there and is no regular file (a device, a folder) is
/// refused.
class AtomicFileWriter {
 public:
  explicit AtomicFileWriter(std::filesystem::path path);
  ~AtomicFileWriter();
  AtomicFileWriter(const AtomicFileWriter&) = delete;
  AtomicFileWriter& operator=(const AtomicFileWriter&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  uint64_t size() const { return size_; }
  /// Makes the file visible at its path. Call once, last.
  void commit();

 private:
  [[noreturn]] void fail(const char* what);

  std::filesystem::path path_, temporary_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

void write_file(const std::filesystem::path& path, std::string_view text);

}  // namespace dsrasq
