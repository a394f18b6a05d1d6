// Reads everything that can be read of a GGUF file made of the fuzzer's bytes.

#include "dsrasq/formats/gguf.h"

#include "dsrasq/core/error.h"
#include "dsrasq/formats/dequantize.h"
#include "dsrasq/formats/fuzz_file.h"

using dsrasq::formats::GgufFile;

namespace {

template <class Call>
void try_call(Call&& call) {
  try {
    call();
  } catch (const dsrasq::Error&) {  // a refusal is fine
  }
}

void read_all(const GgufFile& file) {
  for (const auto key : file.keys()) {
    file.value_text(key);
    try_call([&] { file.strings(key); });
    try_call([&] { file.floats(key); });
    try_call([&] { file.ints(key); });
    try_call([&] { file.find_uint(key); });
    try_call([&] { file.find_string(key); });
  }
  for (const auto& tensor : file.tensors()) {
    const auto info = ggml_type_info(tensor.type);
    if (!info) continue;
    std::vector<float> weights(static_cast<size_t>(info->block));
    try_call([&] { dequantize(tensor.type, tensor.bytes.data(), info->block, weights.data()); });
    if (tensor.bytes.empty() || file.find_tensor(tensor.name) != &tensor) std::abort();
    volatile auto last = tensor.bytes.back();
    static_cast<void>(last);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const dsrasq::formats::FuzzFile bytes(data, size);
  try_call([&] { read_all(GgufFile(bytes.path())); });
  return 0;
}
