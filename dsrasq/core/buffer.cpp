#include "dsrasq/core/buffer.h"

#include <cstdlib>
#include <cstring>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq {
namespace {
constexpr size_t kAlignment = 64;
}

RawBuffer::RawBuffer(size_t n_bytes) : size_(n_bytes) {
  if (n_bytes == 0) return;
  const size_t padded = (n_bytes + kAlignment - 1) / kAlignment * kAlignment;
  data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, padded));
  DSRASQ_CHECK(data_ != nullptr, kResourceExhausted, "core.buffer", "cannot reserve ", n_bytes,
               " bytes of memory");
  std::memset(data_, 0, padded);
}

RawBuffer::~RawBuffer() { std::free(data_); }

RawBuffer::RawBuffer(RawBuffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

RawBuffer& RawBuffer::operator=(RawBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

}  // namespace dsrasq
