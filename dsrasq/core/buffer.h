#pragma once

// A block of memory of fixed size, reserved and touched at once: what is promised to the user
// before the first token is really there.

#include <cstddef>
#include <cstdint>
#include <span>

namespace dsrasq {

/// Zeroed bytes, aligned to 64. Throws kResourceExhausted naming the size when they cannot be had.
class RawBuffer {
 public:
  RawBuffer() = default;
  explicit RawBuffer(size_t n_bytes);
  ~RawBuffer();
  RawBuffer(RawBuffer&& other) noexcept;
  RawBuffer& operator=(RawBuffer&& other) noexcept;

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// `n` zeroed values of a plain type.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t n) : raw_(static_cast<size_t>(n) * sizeof(T)) {}

  T* data() const { return reinterpret_cast<T*>(raw_.data()); }
  int64_t size() const { return static_cast<int64_t>(raw_.size() / sizeof(T)); }
  size_t bytes() const { return raw_.size(); }
  T& operator[](int64_t i) const { return data()[i]; }
  std::span<std::byte> raw() const { return {raw_.data(), raw_.size()}; }

 private:
  RawBuffer raw_;
};

}  // namespace dsrasq
