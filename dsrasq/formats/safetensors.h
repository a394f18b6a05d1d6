#pragma once

// safetensors: a JSON header and the raw bytes of named tensors. What Hugging Face checkpoints and
// this program's adapters are stored in.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/core/file.h"

namespace dsrasq::formats {

enum class Dtype { kF32, kF16, kBF16, kI8, kU8, kI32, kI64 };

/// "F32", as in the header of the file.
const char* dtype_name(Dtype dtype);
int64_t dtype_bytes(Dtype dtype);

/// A tensor in a file that is read or written: row-major, contiguous. Does not own its bytes.
struct NamedTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

using Metadata = std::map<std::string, std::string>;

/// An open, memory-mapped safetensors file. Const calls may run on several threads.
class SafetensorsFile {
 public:
  /// Throws kBadInput naming the file and the tensor: a header that is no JSON object, is over
  /// 100 MB, or disagrees with the file's size; a shape that disagrees with its byte range; bytes
  /// that two tensors share; a dtype other than the above.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  /// The `__metadata__` of the header; empty when there is none.
  const Metadata& metadata() const { return metadata_; }
  /// Sorted by name. Bytes lie in the map and live as long as this object.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  /// Null when there is none of that name.
  const NamedTensor* find(std::string_view name) const;
  /// Throws kBadInput naming the file and the tensor when there is none of that name.
  const NamedTensor& require(std::string_view name) const;

  /// Lets the kernel take back the pages read so far.
  void release_pages() const { file_.release_pages(); }

 private:
  void read_header(std::string_view header, std::span<const std::byte> data);
  void check_coverage(std::span<const std::byte> data);

  MappedFile file_;
  Metadata metadata_;
  std::vector<NamedTensor> tensors_;
};

/// Writes the file whole or not at all; the same arguments always give the same bytes. Throws
/// kInvalidArgument when a name is empty or there twice or a shape disagrees with its bytes,
/// kOutput when the file cannot be written.
void write_safetensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                       const Metadata& metadata = {});

}  // namespace dsrasq::formats
