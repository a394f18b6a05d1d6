// Opens a GGUF model, or reads a config.json, made of the fuzzer's bytes.

#include "dsrasq/checkpoint/checkpoint.h"

#include "dsrasq/checkpoint/hf_config.h"
#include "dsrasq/core/error.h"
#include "dsrasq/formats/fuzz_file.h"

using dsrasq::checkpoint::Checkpoint;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const dsrasq::formats::FuzzFile bytes(data, size);
  try {
    if (size > 0 && data[0] == '{') {
      rope_table(dsrasq::checkpoint::read_hugging_face_config(bytes.path(), true), false);
      return 0;
    }
    const auto model = Checkpoint::open(bytes.path());
    model->fingerprint();
    model->describe();
    rope_table(model->config(), true);
    for (const auto* tensor : model->tensors()) to_float(*tensor);
  } catch (const dsrasq::Error&) {  // a refusal is fine
  }
  return 0;
}
