#pragma once

// A container for state that must be read back whole or refused: named sections, each with a
// checksum. Session files are chunk files.
//
//   file     = "DSRCHUNK" u32 version, u32 kind length, kind, u32 crc | section... | end
//   section  = u32 name length (not 0), name, u64 length, bytes, u32 crc of all before it in it
//   end      = u32 0, u64 sections, u32 crc of both
//
// Little-endian, CRC-32C, nothing after the end.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "dsrasq/core/file.h"

namespace dsrasq::formats {

class ByteReader;

/// Streams sections to a file that appears only at `commit`. Throws kOutput when the file cannot be
/// written, kInternal when sections are not used as said here.
class ChunkFileWriter {
 public:
  /// `kind` says what the file is, e.g. "dsrasq session"; `version` what its sections mean.
  ChunkFileWriter(const std::filesystem::path& path, std::string_view kind, uint32_t version);

  /// A whole section. Names are unique in a file and not empty.
  void add(std::string_view name, std::span<const std::byte> bytes);
  /// A section of `length` bytes, which `append` then brings in any number of parts.
  void begin(std::string_view name, uint64_t length);
  void append(std::span<const std::byte> bytes);
  /// Ends the file and makes it visible. Call once, last.
  void commit();
  uint64_t size() const { return writer_.size(); }

 private:
  void put(std::span<const std::byte> bytes);
  void put_crc();

  AtomicFileWriter writer_;
  std::unordered_set<std::string> names_;
  uint64_t left_ = 0;  // of the open section
  uint32_t crc_ = 0;   // of the open section so far
};

/// An open chunk file, memory-mapped, every checksum verified. Const calls may run on several
/// threads. Section bytes have no alignment: copy them out.
class ChunkFile {
 public:
  /// Throws kBadInput naming the file, the section and the offset: another kind of file, a version
  /// over `newest_version`, a truncated or damaged file, a name that is there twice.
  ChunkFile(const std::filesystem::path& path, std::string_view kind, uint32_t newest_version);

  const std::filesystem::path& path() const { return file_.path(); }
  uint32_t version() const { return version_; }
  uint64_t size_bytes() const { return file_.bytes().size(); }
  /// In the order of the file.
  const std::vector<std::string>& names() const { return names_; }
  /// Nothing when there is no such section.
  std::optional<std::span<const std::byte>> find(std::string_view name) const;
  /// Throws kBadInput naming the file and the section when there is no such section.
  std::span<const std::byte> require(std::string_view name) const;
  /// Copies a section out. Throws kBadInput when it is not there or not as long as `bytes`.
  void copy_to(std::string_view name, std::span<std::byte> bytes) const;

  /// Lets the kernel take back the pages read so far.
  void release_pages() const { file_.release_pages(); }

 private:
  void read_head(ByteReader& reader, std::string_view kind, uint32_t newest_version);
  bool read_section(ByteReader& reader);
  void check_crc(ByteReader& reader, uint64_t start, const std::string& what) const;

  MappedFile file_;
  uint32_t version_ = 0;
  std::vector<std::string> names_;
  std::unordered_map<std::string, std::span<const std::byte>> sections_;
};

}  // namespace dsrasq::formats
