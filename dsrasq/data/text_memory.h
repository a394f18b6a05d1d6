#pragma once

// Whether texts fit into memory, before they are loaded.

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace dsrasq::data {

/// Bytes that a file of texts takes at least once it is loaded. All zero where the file says
/// nothing about it: standard input, and what the readers refuse without reading it.
struct TextMemory {
  uint64_t all_texts = 0;  ///< held together
  uint64_t one_text = 0;   ///< held one after another; 0 when each is a record of many
  uint64_t tokens = 0;     ///< as 32-bit ids
};
TextMemory text_memory(const std::filesystem::path& path);

/// Throws kResourceExhausted, saying what `name` takes and what is free, when that is less.
void check_free_memory(uint64_t bytes, std::string_view name);

}  // namespace dsrasq::data
