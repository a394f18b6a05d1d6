#include "dsrasq/formats/chunk_file.h"

#include <algorithm>
#include <cstring>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/formats/byte_reader.h"

namespace dsrasq::formats {
namespace {

constexpr const char* kInChunkFile = "formats.chunk_file";
constexpr std::string_view kMagic = "DSRCHUNK";
constexpr uint32_t kMaxNameBytes = 1024;
constexpr uint64_t kVerifyBytes = 16 << 20;

template <class T>
std::span<const std::byte> bytes_of(const T& value) {
  return std::as_bytes(std::span(&value, 1));
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace

ChunkFileWriter::ChunkFileWriter(const std::filesystem::path& path, std::string_view kind,
                                 uint32_t version)
    : writer_(path) {
  put(bytes_of(kMagic));
  put(bytes_of(version));
  put(bytes_of(static_cast<uint32_t>(kind.size())));
  put(bytes_of(kind));
  put_crc();
}

void ChunkFileWriter::put(std::span<const std::byte> bytes) {
  crc_ = crc32c(bytes, crc_);
  writer_.write(bytes);
}

void ChunkFileWriter::put_crc() {
  writer_.write(bytes_of(crc_));
  crc_ = 0;
}

void ChunkFileWriter::add(std::string_view name, std::span<const std::byte> bytes) {
  begin(name, bytes.size());
  append(bytes);
}

void ChunkFileWriter::begin(std::string_view name, uint64_t length) {
  DSRASQ_CHECK(left_ == 0, kInternal, kInChunkFile, "section ", quoted_text(name), " begins while ",
               left_, " bytes of the one before are missing");
  DSRASQ_CHECK(
      !name.empty() && name.size() <= kMaxNameBytes && names_.insert(std::string(name)).second,
      kInternal, kInChunkFile, "a section cannot be named ", quoted_text(name));
  put(bytes_of(static_cast<uint32_t>(name.size())));
  put(bytes_of(name));
  put(bytes_of(length));
  left_ = length;
  if (left_ == 0) put_crc();
}

void ChunkFileWriter::append(std::span<const std::byte> bytes) {
  DSRASQ_CHECK(bytes.size() <= left_, kInternal, kInChunkFile, bytes.size(),
               " bytes appended to a section that wants ", left_, " more");
  if (bytes.empty()) return;
  put(bytes);
  left_ -= bytes.size();
  if (left_ == 0) put_crc();
}

void ChunkFileWriter::commit() {
  DSRASQ_CHECK(left_ == 0, kInternal, kInChunkFile, left_,
               " bytes of the last section are missing");
  put(bytes_of(uint32_t{0}));
  put(bytes_of(static_cast<uint64_t>(names_.size())));
  put_crc();
  writer_.commit();
}

ChunkFile::ChunkFile(const std::filesystem::path& path, std::string_view kind,
                     uint32_t newest_version)
    : file_(path) {
  ByteReader reader(file_.bytes(), path.string(), kInChunkFile);
  read_head(reader, kind, newest_version);
  while (read_section(reader)) {
  }
  if (reader.remaining() > 0) {
    reader.fail(
        concat("has ", reader.remaining(), " bytes after its end, at offset ", reader.position()));
  }
}

void ChunkFile::read_head(ByteReader& reader, std::string_view kind, uint32_t newest_version) {
  const auto fail_kind = [&] { reader.fail(concat("is not a ", kind, " file")); };
  if (reader.remaining() < kMagic.size() || reader.take_text(kMagic.size(), "") != kMagic) {
    fail_kind();
  }
  version_ = reader.read<uint32_t>("the head");
  const auto kind_bytes = reader.read<uint32_t>("the head");
  if (kind_bytes > kMaxNameBytes) fail_kind();
  const auto found = reader.take_text(kind_bytes, "the head");
  check_crc(reader, 0, "the head");
  if (found != kind)
    reader.fail(concat("is a ", quoted_text(found), " file, want ", quoted_text(kind)));
  if (version_ > newest_version) {
    reader.fail(concat("was written by a newer program: its version is ", version_,
                       ", this program reads up to ", newest_version));
  }
}

bool ChunkFile::read_section(ByteReader& reader) {
  const uint64_t start = reader.position();
  const auto name_bytes = reader.read<uint32_t>("a section's head");
  if (name_bytes == 0) {
    const auto n_sections = reader.read<uint64_t>("the end mark");
    check_crc(reader, start, "the end mark");
    if (n_sections != names_.size()) {
      reader.fail(concat("has ", names_.size(), " sections, want ", n_sections));
    }
    return false;
  }
  if (name_bytes > kMaxNameBytes) {
    reader.fail(concat("is damaged: a section name of ", name_bytes, " bytes at offset ", start));
  }
  const std::string name(reader.take_text(name_bytes, "a section's name"));
  const std::string what = "section " + quoted_text(name);
  const auto bytes = reader.take(reader.read<uint64_t>(what), what);
  check_crc(reader, start, what);
  if (!sections_.emplace(name, bytes).second) {
    reader.fail(concat(what, " at offset ", start, " is there twice"));
  }
  names_.push_back(name);
  return true;
}

void ChunkFile::check_crc(ByteReader& reader, uint64_t start, const std::string& what) const {
  auto bytes = file_.bytes().subspan(start, reader.position() - start);
  uint32_t crc = 0;
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min<uint64_t>(bytes.size(), kVerifyBytes));
    crc = crc32c(part, crc);
    bytes = bytes.subspan(part.size());
    // A pool of gigabytes should not become resident just because it was verified.
    if (part.size() == kVerifyBytes) file_.release_pages();
  }
  if (reader.read<uint32_t>(concat("the checksum of ", what)) != crc) {
    reader.fail(concat("is damaged: ", what, " at offset ", start, " fails its checksum"));
  }
}

std::optional<std::span<const std::byte>> ChunkFile::find(std::string_view name) const {
  const auto found = sections_.find(std::string(name));
  if (found == sections_.end()) return std::nullopt;
  return found->second;
}

std::span<const std::byte> ChunkFile::require(std::string_view name) const {
  const auto section = find(name);
  DSRASQ_CHECK(section, kBadInput, kInChunkFile, path().string(), ": has no section ",
               quoted_text(name));
  return *section;
}

void ChunkFile::copy_to(std::string_view name, std::span<std::byte> bytes) const {
  const std::span<const std::byte> section = require(name);
  DSRASQ_CHECK(section.size() == bytes.size(), kBadInput, kInChunkFile, path().string(),
               ": section ", name, " has ", section.size(), " bytes, want ", bytes.size());
  if (!bytes.empty()) std::memcpy(bytes.data(), section.data(), bytes.size());
}

}  // namespace dsrasq::formats
