#include "dsrasq/data/tar_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <string_view>

#include "dsrasq/core/error.h"

namespace dsrasq::data {
namespace {

using View = std::string_view;

constexpr const char* kInTarReader = "data.tar_reader";
constexpr size_t kBlockBytes = 512;
// Where the fields of a header are (POSIX.1-1988, "ustar").
constexpr size_t kSizeAt = 124, kChecksumAt = 148, kTypeAt = 156, kMagicAt = 257, kPrefixAt = 345;
constexpr size_t kNameBytes = 100, kNumberBytes = 12, kChecksumBytes = 8, kPrefixBytes = 155;

// A field ends at its first NUL.
View field(View block, size_t at, size_t size) {
  const View all = block.substr(at, size);
  return all.substr(0, all.find('\0'));
}

std::optional<uint64_t> octal(View digits) {
  while (digits.starts_with(' ')) digits.remove_prefix(1);
  while (digits.ends_with(' ')) digits.remove_suffix(1);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
  const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
  return is_whole ? std::optional(value) : std::nullopt;
}

// The sum of all bytes, those of the checksum itself counted as spaces.
uint64_t checksum(View block) {
  uint64_t sum = kChecksumBytes * uint64_t{' '};
  for (size_t i = 0; i < block.size(); ++i)
    if (i < kChecksumAt || i >= kChecksumAt + kChecksumBytes)
      sum += static_cast<unsigned char>(block[i]);
  return sum;
}

bool is_header(View block) {
  return block.size() == kBlockBytes && block.substr(kMagicAt).starts_with("ustar") &&
         octal(field(block, kChecksumAt, kChecksumBytes)) == checksum(block);
}

std::string name_of(View header) {
  const View prefix = field(header, kPrefixAt, kPrefixBytes);
  const View name = field(header, 0, kNameBytes);
  // GNU's archives, "ustar  ", have something else in the prefix's place.
  const bool has_prefix = header[kMagicAt + 5] == '\0' && !prefix.empty();
  return concat(has_prefix ? prefix : "", has_prefix ? "/" : "", name);
}

}  // namespace

TarReader::TarReader(const std::filesystem::path& path, const ReadOptions& options)
    : stream_(path, options.max_bytes), max_member_bytes_(options.max_record_bytes) {}

bool TarReader::is_one(const std::filesystem::path& path) {
  try {
    std::array<char, kBlockBytes> block;
    const size_t n = ByteStream(path, UINT64_MAX).read(block);
    return is_header(View(block.data(), n));
  } catch (const Error&) {  // the reader that is chosen says what is wrong with the file
    return false;
  }
}

std::string TarReader::take(uint64_t size, const std::string& what) {
  DSRASQ_CHECK(size <= max_member_bytes_, kBadInput, kInTarReader, stream_.name(), ": ", what,
               " is longer than ", max_member_bytes_, " bytes");
  std::string bytes((size + kBlockBytes - 1) / kBlockBytes * kBlockBytes, '\0');
  DSRASQ_CHECK(stream_.read(bytes) == bytes.size(), kBadInput, kInTarReader, stream_.name(),
               " is cut off in ", what);
  bytes.resize(size);
  return bytes;
}

std::optional<TarMember> TarReader::next() {
  std::string long_name;
  while (true) {
    std::string header(kBlockBytes, '\0');
    header.resize(stream_.read(header));
    const bool is_end = std::all_of(header.begin(), header.end(), [](char c) { return c == 0; });
    if (is_end) return std::nullopt;  // blocks of zeros, which some writers leave out
    const auto size =
        is_header(header) ? octal(field(header, kSizeAt, kNumberBytes)) : std::optional<uint64_t>();
    DSRASQ_CHECK(size, kBadInput, kInTarReader, stream_.name(),
                 " is a damaged tar archive: a file's header is wrong");
    const char type = header[kTypeAt];
    TarMember member{long_name.empty() ? name_of(header) : long_name, {}};
    member.bytes = take(*size, member.name);
    const bool is_file = type == '0' || type == '\0' || type == '7';
    if (is_file) return member;
    // GNU's way to write the next file's name where it is long.
    long_name = type == 'L' ? std::string(field(member.bytes, 0, member.bytes.size())) : "";
  }
}

}  // namespace dsrasq::data
