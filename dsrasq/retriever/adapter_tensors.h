#pragma once

// Tensors of an adapter file: checked when they are read, and kept alive while they are written.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <list>
#include <string>
#include <vector>

#include "dsrasq/formats/safetensors.h"

namespace dsrasq::retriever {

/// A tensor of the wanted shape, F16 or F32 in the file, as fp32. Throws kBadInput naming the file
/// and the tensor when it is missing, has another shape or type, or holds a NaN or an infinity.
at::Tensor read_tensor(const formats::SafetensorsFile& file, const std::string& name,
                       const std::vector<int64_t>& shape);

/// Tensors as fp16, ready for `formats::write_safetensors`.
class HalfTensors {
 public:
  /// Throws kInvalidArgument naming `path` and the tensor where a value does not fit fp16.
  void add(const std::string& name, const at::Tensor& values, const std::filesystem::path& path);
  /// Their bytes live as long as this object.
  const std::vector<formats::NamedTensor>& tensors() const { return tensors_; }

 private:
  std::list<at::Tensor> halves_;
  std::vector<formats::NamedTensor> tensors_;
};

}  // namespace dsrasq::retriever
