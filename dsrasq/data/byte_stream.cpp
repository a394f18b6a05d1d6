#include "dsrasq/data/byte_stream.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"

namespace dsrasq::data {
namespace {

constexpr const char* kInByteStream = "data.byte_stream";
constexpr size_t kBufferBytes = 1 << 16;
constexpr uint64_t kMaxDecoderBytes = 1ull << 28;  // xz -9 asks for 65 MiB
constexpr std::string_view kXzMagic(
    "\xFD"
    "7zXZ\0",
    6);
constexpr std::string_view kGzipMagic("\x1F\x8B", 2);
constexpr int kGzipWindow = 16 + MAX_WBITS;  // 16: with gzip's header and checksum
constexpr std::string_view kZstdMagic("\x28\xB5\x2F\xFD", 4);

enum class Packing { kNone, kXz, kGzip };

}  // namespace

struct ByteStream::State {
  std::string name;
  int fd = -1;
  bool owns_fd = false;
  uint64_t max_bytes = 0;   // of text
  uint64_t bytes_left = 0;  // that may still be delivered
  std::vector<char> buffer = std::vector<char>(kBufferBytes);
  size_t begin = 0, end = 0;  // of what the buffer holds
  Packing packing = Packing::kNone;
  lzma_stream xz = LZMA_STREAM_INIT;
  z_stream gzip{};
  bool has_member_ended = false;  // of a gzip file, behind which another may follow
  bool at_end = false;

  ~State() {
    lzma_end(&xz);
    if (packing == Packing::kGzip) inflateEnd(&gzip);
    if (owns_fd) ::close(fd);
  }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw Error(ErrorCode::kBadInput, kInByteStream, concat(name, parts...));
  }

  void open(const std::filesystem::path& path) {
    owns_fd = path != "-";
    name = owns_fd ? path.string() : "standard input";
    fd = owns_fd ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) {
      owns_fd = false;
      fail(" cannot be read: ", std::strerror(errno));
    }
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) fail(" is a folder, want a file");
  }

  // One more read into the empty or partly filled buffer; false at the end of the file.
  bool refill() {
    if (begin == end) begin = end = 0;
    while (true) {
      check_interrupt();
      const ssize_t n = ::read(fd, buffer.data() + end, buffer.size() - end);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(" cannot be read: ", std::strerror(errno));
      end += static_cast<size_t>(n);
      return n > 0;
    }
  }

  void detect_format() {
    while (end < kXzMagic.size() && refill()) {
    }
    const std::string_view head(buffer.data(), end);
    if (head.starts_with(kZstdMagic)) fail(" is compressed with zstd, which is not supported");
    bool is_ready = true;
    if (head.starts_with(kXzMagic)) {
      packing = Packing::kXz;
      is_ready = lzma_stream_decoder(&xz, kMaxDecoderBytes, LZMA_CONCATENATED) == LZMA_OK;
    } else if (head.starts_with(kGzipMagic)) {
      is_ready = inflateInit2(&gzip, kGzipWindow) == Z_OK;
      packing = is_ready ? Packing::kGzip : Packing::kNone;
    }
    DSRASQ_CHECK(is_ready, kResourceExhausted, kInByteStream, "no memory to decompress ", name);
    struct stat status {};
    const bool is_plain = packing == Packing::kNone && ::fstat(fd, &status) == 0;
    if (is_plain && S_ISREG(status.st_mode) && static_cast<uint64_t>(status.st_size) > max_bytes)
      fail_size();
  }

  [[noreturn]] void fail_size() const {
    fail(" holds more text than the limit allows (", max_bytes, " bytes)");
  }

  size_t read_plain(std::span<char> out) {
    if (begin == end && !refill()) return 0;
    const size_t n = std::min(out.size(), end - begin);
    std::memcpy(out.data(), buffer.data() + begin, n);
    begin += n;
    return n;
  }

  size_t read_xz(std::span<char> out) {
    xz.next_out = reinterpret_cast<uint8_t*>(out.data());
    xz.avail_out = out.size();
    while (xz.avail_out == out.size() && !at_end) {
      const bool more = begin < end || refill();
      xz.next_in = reinterpret_cast<const uint8_t*>(buffer.data() + begin);
      xz.avail_in = end - begin;
      const lzma_ret result = lzma_code(&xz, more ? LZMA_RUN : LZMA_FINISH);
      begin = end - xz.avail_in;
      at_end = result == LZMA_STREAM_END;
      if (result == LZMA_MEMLIMIT_ERROR) {
        fail(" needs more than ", kMaxDecoderBytes >> 20, " MiB to be decompressed");
      }
      if (result == LZMA_BUF_ERROR) fail(" is a truncated xz file");
      if (result != LZMA_OK && !at_end) {
        fail(" is a damaged xz file (after ", xz.total_out, " decompressed bytes)");
      }
    }
    return out.size() - xz.avail_out;
  }

  size_t read_gzip(std::span<char> out) {
    const size_t wanted = std::min(out.size(), kBufferBytes);
    gzip.next_out = reinterpret_cast<Bytef*>(out.data());
    gzip.avail_out = static_cast<uInt>(wanted);
    while (gzip.avail_out == wanted && !at_end) {
      if (begin == end && !refill()) {
        if (!has_member_ended) fail(" is a truncated gzip file");
        at_end = true;
        break;
      }
      if (has_member_ended) inflateReset(&gzip);
      gzip.next_in = reinterpret_cast<Bytef*>(buffer.data() + begin);
      gzip.avail_in = static_cast<uInt>(end - begin);
      const int result = inflate(&gzip, Z_NO_FLUSH);
      begin = end - gzip.avail_in;
      has_member_ended = result == Z_STREAM_END;
      if (result != Z_OK && !has_member_ended)
        fail(" is a damaged gzip file (after ", gzip.total_out, " decompressed bytes)");
    }
    return wanted - gzip.avail_out;
  }

  size_t read_some(std::span<char> out) {
    switch (packing) {
      case Packing::kXz: return read_xz(out);
      case Packing::kGzip: return read_gzip(out);
      case Packing::kNone: break;
    }
    return read_plain(out);
  }
};

ByteStream::ByteStream(const std::filesystem::path& path, uint64_t max_bytes)
    : state_(std::make_unique<State>()) {
  state_->max_bytes = state_->bytes_left = max_bytes;
  state_->open(path);
  state_->detect_format();
}

ByteStream::~ByteStream() = default;
ByteStream::ByteStream(ByteStream&&) noexcept = default;
ByteStream& ByteStream::operator=(ByteStream&&) noexcept = default;

const std::string& ByteStream::name() const { return state_->name; }

size_t ByteStream::read(std::span<char> out) {
  size_t filled = 0;
  while (filled < out.size()) {
    const std::span<char> rest = out.subspan(filled);
    const size_t n = state_->read_some(rest);
    if (n == 0) break;
    if (n > state_->bytes_left) state_->fail_size();
    state_->bytes_left -= n;
    filled += n;
  }
  return filled;
}

std::filesystem::path unpacked_name(std::filesystem::path path) {
  if (path.extension() == ".xz" || path.extension() == ".gz") path.replace_extension();
  return path;
}

}  // namespace dsrasq::data
