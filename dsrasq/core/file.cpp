#include "dsrasq/core/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq {
namespace {

constexpr const char* kInFile = "core.file";

std::string reason() { return std::strerror(errno); }

// Opens for reading, and refuses folders, which open() accepts.
int open_input(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  DSRASQ_CHECK(fd >= 0, kBadInput, kInFile, "cannot read ", path.string(), ": ", reason());
  struct stat status {};
  if (::fstat(fd, &status) != 0 || S_ISDIR(status.st_mode)) {
    ::close(fd);
    throw Error(ErrorCode::kBadInput, kInFile, "cannot read " + path.string() + ": is a folder");
  }
  return fd;
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const int fd = open_input(path);
  struct stat status {};
  ::fstat(fd, &status);
  size_ = static_cast<size_t>(status.st_size);
  void* map = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  const std::string why = reason();
  ::close(fd);
  DSRASQ_CHECK(map != MAP_FAILED, kBadInput, kInFile, "cannot map ", path.string(), ": ", why);
  data_ = static_cast<const std::byte*>(map);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::release_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

std::string read_file(const std::filesystem::path& path, uint64_t max_bytes) {
  const bool from_stdin = path == "-";
  const int fd = from_stdin ? STDIN_FILENO : open_input(path);
  std::string text;
  std::string chunk(1 << 20, '\0');
  ssize_t n = 0;
  while ((n = ::read(fd, chunk.data(), chunk.size())) != 0) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 || text.size() + static_cast<uint64_t>(n) > max_bytes) break;
    text.append(chunk, 0, static_cast<size_t>(n));
  }
  const std::string why = n < 0 ? reason() : concat("holds more than ", max_bytes, " bytes");
  if (!from_stdin) ::close(fd);
  DSRASQ_CHECK(n == 0, kBadInput, kInFile, "cannot read ", path.string(), ": ", why);
  return text;
}

AtomicFileWriter::AtomicFileWriter(std::filesystem::path path) : path_(std::move(path)) {
  // A rename would put a file in the place of a device or a pipe.
  std::error_code error;
  const auto there = std::filesystem::status(path_, error);
  DSRASQ_CHECK(!std::filesystem::exists(there) || std::filesystem::is_regular_file(there), kOutput,
               kInFile, "cannot write ", path_.string(), ": it is there and is no regular file");
  temporary_ = path_.string() + ".tmp-" + std::to_string(::getpid());
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail("cannot create");
}

AtomicFileWriter::~AtomicFileWriter() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void AtomicFileWriter::fail(const char* what) {
  const std::string message = concat(what, ' ', path_.string(), ": ", reason());
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
    ::unlink(temporary_.c_str());
  }
  throw Error(ErrorCode::kOutput, kInFile, message);
}

void AtomicFileWriter::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write");
    size_ += static_cast<uint64_t>(n);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void AtomicFileWriter::commit() {
  if (::fsync(fd_) != 0) fail("cannot write");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot write");
  ::close(std::exchange(fd_, -1));
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const int folder_fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder_fd >= 0) {
    ::fsync(folder_fd);
    ::close(folder_fd);
  }
}

void write_file(const std::filesystem::path& path, std::string_view text) {
  AtomicFileWriter writer(path);
  writer.write(text);
  writer.commit();
}

}  // namespace dsrasq
