#include "dsrasq/data/byte_stream.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>

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
constexpr std::string_view kZstdMagic("\x28\xB5\x2F\xFD", 4);

}  // namespace

struct ByteStream::State {
  std::string name;
  int fd = -1;
  bool owns_fd = false;
  uint64_t max_bytes = 0;   // of text
  uint64_t bytes_left = 0;  // that may still be delivered
  std::vector<char> buffer = std::vector<char>(kBufferBytes);
  size_t begin = 0, end = 0;  // of what the buffer holds
  bool is_xz = false;
  lzma_stream xz = LZMA_STREAM_INIT;
  bool at_end = false;

  ~State() {
    lzma_end(&xz);
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
    if (head.starts_with(kGzipMagic)) fail(" is compressed with gzip, which is not supported");
    if (head.starts_with(kZstdMagic)) fail(" is compressed with zstd, which is not supported");
    is_xz = head.starts_with(kXzMagic);
    if (is_xz && lzma_stream_decoder(&xz, kMaxDecoderBytes, LZMA_CONCATENATED) != LZMA_OK) {
      throw Error(ErrorCode::kResourceExhausted, kInByteStream,
                  concat("no memory to decompress ", name));
    }
    struct stat status {};
    const bool has_size = ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    if (!is_xz && has_size && static_cast<uint64_t>(status.st_size) > max_bytes) fail_size();
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
    const size_t n = state_->is_xz ? state_->read_xz(rest) : state_->read_plain(rest);
    if (n == 0) break;
    if (n > state_->bytes_left) state_->fail_size();
    state_->bytes_left -= n;
    filled += n;
  }
  return filled;
}

}  // namespace dsrasq::data
