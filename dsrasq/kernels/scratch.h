#pragma once

// Working memory of a kernel: one per thread, grown when a larger call comes, kept until the thread
// ends, so that hot loops never allocate.

#include <cstddef>
#include <cstdint>
#include <new>

namespace dsrasq::kernels {

class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { release(); }

  /// At least `n` elements of `T`, aligned to 64 bytes, of any content; what an earlier call gave
  /// is gone.
  template <class T>
  T* get(int64_t n) {
    const size_t bytes = static_cast<size_t>(n) * sizeof(T);
    if (bytes > size_) {
      release();
      data_ = ::operator new(bytes, kAlignment);
      size_ = bytes;
    }
    return static_cast<T*>(data_);
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  void release() {
    ::operator delete(data_, kAlignment);
    data_ = nullptr;
    size_ = 0;
  }

  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace dsrasq::kernels
