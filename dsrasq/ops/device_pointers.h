#pragma once

// Tensors on a GPU as the kernels' raw pointers, and the stream that LibTorch works on.

#include <ATen/core/Tensor.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "dsrasq/cuda/token_ring.h"

namespace dsrasq::ops {

/// Null for an undefined tensor.
template <class T>
T* device_pointer(const at::Tensor& tensor) {
  return tensor.defined() ? static_cast<T*>(tensor.mutable_data_ptr()) : nullptr;
}

inline cuda::Bf16* bf16_pointer(const at::Tensor& tensor) {
  return device_pointer<cuda::Bf16>(tensor);
}

inline cuda::Stream current_stream(at::Device device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  return static_cast<cuda::Stream>(guard.getStream(device).native_handle());
}

}  // namespace dsrasq::ops
