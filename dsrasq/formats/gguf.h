#pragma once

// GGUF, the model file of llama.cpp: key-value pairs and quantised tensors in one memory-mapped
// file. Versions 2 and 3, little-endian. Everything is checked at open; nothing big is copied.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/formats/ggml_type.h"

namespace dsrasq::formats {

class ByteReader;

/// One tensor of the file; `bytes` lie in the map and live as long as the `GgufFile`.
struct GgufTensor {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;  ///< row-major, e.g. [rows, cols]; blocks run along the last one
  std::span<const std::byte> bytes;  ///< empty for a type that no version of ggml known here uses
};

/// An open GGUF file. Const calls may run on several threads.
///
/// The `find_` calls give nothing when the key is absent and throw kBadInput, naming the file and
/// the key, when its value has another type. Views point into the map.
class GgufFile {
 public:
  /// Throws kBadInput naming the file, the key or tensor and the offset of what is wrong.
  explicit GgufFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  uint32_t version() const { return version_; }
  uint64_t size_bytes() const { return file_.bytes().size(); }

  /// In the order of the file.
  std::vector<std::string_view> keys() const;
  bool has(std::string_view key) const { return key_index_.contains(key); }
  /// Any integer type that is not negative.
  std::optional<uint64_t> find_uint(std::string_view key) const;
  std::optional<double> find_float(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string_view> find_string(std::string_view key) const;
  /// How many items the array has; nothing when the key is absent or no array.
  std::optional<uint64_t> array_length(std::string_view key) const;
  /// The items of an array; empty when the key is absent.
  std::vector<std::string_view> strings(std::string_view key) const;
  std::vector<float> floats(std::string_view key) const;
  /// Any integer or bool type whose items fit.
  std::vector<int32_t> ints(std::string_view key) const;
  /// A value as one short line, e.g. "2048", "llama" or "array of 49152 strings".
  std::string value_text(std::string_view key) const;

  /// In the order of the file.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const GgufTensor* find_tensor(std::string_view name) const;

  /// Lets the kernel take back the pages read so far.
  void release_pages() const { file_.release_pages(); }

 private:
  struct Value {
    std::string_view key;
    uint32_t type;  // of the value, or of an array's items
    bool is_array;
    uint64_t count;                   // items; 1 when no array
    std::span<const std::byte> data;  // the value's bytes; an array's without its head
  };

  void read_header(ByteReader& reader);
  void read_values(ByteReader& reader);
  void read_value(ByteReader& reader, Value& value) const;
  void read_tensors(ByteReader& reader);
  void place_tensors(uint64_t header_end, const std::vector<uint64_t>& offsets);
  const Value* find(std::string_view key, bool is_array) const;
  [[noreturn]] void fail_type(const Value& value, const char* wanted) const;

  MappedFile file_;
  uint32_t version_ = 0;
  uint64_t n_tensors_ = 0, n_values_ = 0;
  std::vector<Value> values_;
  std::unordered_map<std::string_view, size_t> key_index_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, size_t> tensor_index_;
};

}  // namespace dsrasq::formats
