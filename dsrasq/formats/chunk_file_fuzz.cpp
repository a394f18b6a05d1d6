// Reads a chunk file made of the fuzzer's bytes.

#include "dsrasq/formats/chunk_file.h"

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/formats/fuzz_file.h"

using dsrasq::formats::ChunkFile;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const dsrasq::formats::FuzzFile bytes(data, size);
  try {
    const ChunkFile file(bytes.path(), "test", 1);
    for (const auto& name : file.names()) dsrasq::crc32c(file.require(name));
  } catch (const dsrasq::Error&) {  // a refusal is fine
  }
  return 0;
}
