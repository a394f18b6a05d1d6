#pragma once

// A small adapter and a file for it, for tests of what adapters hold.

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/retriever/adapter.h"

namespace dsrasq::retriever {

inline constexpr int64_t kEmbd = 12;

class AdapterFileTest : public FolderTest {
 protected:
  /// Random indexers and nothing else.
  static Adapter with_indexers(std::initializer_list<int64_t> layers) {
    Adapter adapter;
    adapter.base_fingerprint = "0123456789abcdef";
    adapter.base_name = "tiny";
    adapter.n_embd = kEmbd;
    adapter.n_heads = 2;
    adapter.head_dim = 8;
    adapter.d_max = 6000;
    adapter.record = "{}";
    for (const int64_t layer : layers)
      adapter.indexers[layer] = Adapter::random(kEmbd, 2, 8, static_cast<uint64_t>(layer) + 1);
    return adapter;
  }
  /// What is said about the file of this adapter.
  std::string refusal(const Adapter& adapter) const {
    adapter.save(path());
    return error_text([&] { Adapter::load(path()); }, ErrorCode::kBadInput);
  }
  std::filesystem::path path() const { return folder_ / "a.safetensors"; }
};

}  // namespace dsrasq::retriever
