#pragma once

// A model that loads in milliseconds, for the test and the fuzzer of session files.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/session/engine.h"

namespace dsrasq::session {

inline constexpr int64_t kTinyVocab = 96;

/// The options of a memory of 64 tokens behind a window of 16.
inline policy::PolicyOptions tiny_options(const std::string& name,
                                          const std::string& retention = "recency") {
  return {.name = name, .window = 16, .top_k = 8, .pool = 64, .retention = retention};
}

/// Slots for layers of 6 heads, 2 KV heads of 16.
inline memory::SlotParameters tiny_slots() {
  const auto fill = [](size_t n) { return std::vector<float>(n, 0.1f); };
  return {.n_slots = 3,
          .n_kv_heads = 2,
          .head_dim = 16,
          .u_k = fill(32 * 3),
          .u_v = fill(32 * 3),
          .beta = {0.5f, 0.9f, 0.99f},
          .read_k = fill(2 * 32 * 16),
          .read_v = fill(2 * 32 * 16),
          .gate = fill(6)};
}

/// The golden Llama with a small tokenizer and a random adapter, put together in `folder`. Wants
/// the repository root as working directory.
inline Engine make_tiny_engine(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const fs::path golden = fs::absolute("tests/golden/models/llama");
  fs::create_symlink(golden / "config.json", folder / "config.json");
  fs::create_symlink(golden / "model.safetensors", folder / "model.safetensors");
  fs::create_symlink(fs::absolute("tests/fuzz/tokenizer_json/byte_level.json"),
                     folder / "tokenizer.json");
  const auto checkpoint = checkpoint::Checkpoint::open(folder);
  retriever::Adapter adapter;
  adapter.base_fingerprint = checkpoint->fingerprint();
  adapter.n_embd = checkpoint->config().n_embd;
  adapter.n_heads = 2;
  adapter.head_dim = 16;
  adapter.d_max = 100;
  for (int64_t i = 0; i < checkpoint->config().n_layers; ++i)
    adapter.indexers[i] =
        retriever::Adapter::random(adapter.n_embd, 2, 16, static_cast<uint64_t>(i));
  adapter.slots[1] = tiny_slots();
  adapter.save(folder / "adapter.safetensors");
  return Engine({.model = folder.string(),
                 .adapter = (folder / "adapter.safetensors").string(),
                 .threads = 1});
}

}  // namespace dsrasq::session
