#pragma once

// GGUF files made in memory, right or wrong, for tests.

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/formats/ggml_type.h"

namespace dsrasq::formats {

/// Collects keys and tensors in order; `build` gives the bytes of the file.
class TestGguf {
 public:
  enum Type : uint32_t {
    kU8,
    kI8,
    kU16,
    kI16,
    kU32,
    kI32,
    kF32,
    kBool,
    kString,
    kArray,
    kU64,
    kI64,
    kF64
  };

  template <class T>
  static std::string raw(T value) {
    std::string bytes(sizeof(T), '\0');
    std::memcpy(bytes.data(), &value, sizeof(T));
    return bytes;
  }
  static std::string text(std::string_view value) {
    return raw<uint64_t>(value.size()) + std::string(value);
  }

  /// A value as it stands in the file.
  TestGguf& value(std::string_view key, uint32_t type, std::string_view bytes) {
    values_ += text(key) + raw(type) + std::string(bytes);
    ++n_values;
    return *this;
  }
  TestGguf& set(std::string_view key, uint32_t x) { return value(key, kU32, raw(x)); }
  TestGguf& set(std::string_view key, float x) { return value(key, kF32, raw(x)); }
  TestGguf& set(std::string_view key, bool x) { return value(key, kBool, raw(x)); }
  TestGguf& set(std::string_view key, const char* x) { return value(key, kString, text(x)); }
  TestGguf& array(std::string_view key, uint32_t type, uint64_t count, std::string_view bytes) {
    return value(key, kArray, raw(type) + raw(count) + std::string(bytes));
  }

  /// `shape` is row-major; the data follows that of the tensor before.
  TestGguf& tensor(std::string_view name, GgmlType type, const std::vector<int64_t>& shape,
                   std::string_view bytes) {
    data_.resize((data_.size() + alignment - 1) / alignment * alignment);
    tensor_at(name, type, shape, data_.size());
    data_ += bytes;
    return *this;
  }
  /// Only the tensor's head, with any offset.
  TestGguf& tensor_at(std::string_view name, GgmlType type, const std::vector<int64_t>& shape,
                      uint64_t offset) {
    tensors_ += text(name) + raw(static_cast<uint32_t>(shape.size()));
    for (size_t d = shape.size(); d-- > 0;) tensors_ += raw(shape[d]);
    tensors_ += raw(static_cast<uint32_t>(type)) + raw(offset);
    ++n_tensors;
    return *this;
  }

  std::string build() const {
    std::string file = "GGUF" + raw(version) + raw(n_tensors) + raw(n_values) + values_ + tensors_;
    file.resize((file.size() + alignment - 1) / alignment * alignment);
    return file + data_;
  }

  uint32_t version = 3;
  uint64_t alignment = 32;
  uint64_t n_tensors = 0, n_values = 0;

 private:
  std::string values_, tensors_, data_;
};

}  // namespace dsrasq::formats
