// Reads everything of a safetensors file made of the fuzzer's bytes.

#include "dsrasq/formats/safetensors.h"

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/formats/fuzz_file.h"

using dsrasq::formats::SafetensorsFile;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const dsrasq::formats::FuzzFile bytes(data, size);
  try {
    const SafetensorsFile file(bytes.path());
    for (const auto& tensor : file.tensors()) {
      dsrasq::crc32c(tensor.bytes);
      if (file.find(tensor.name) != &tensor) std::abort();
    }
  } catch (const dsrasq::Error&) {  // a refusal is fine
  }
  return 0;
}
