#pragma once

// The files of a tokenizer, as the folder of another model wants them.

#include <filesystem>

namespace dsrasq::text {

/// Writes to `folder` what `load_tokenizer(source)` read, so that the same tokenizer is read from
/// there: the files of a Hugging Face folder, or a tokenizer.json by itself. Throws
/// kInvalidArgument for a GGUF file, kBadInput or kOutput for files that cannot be read or written.
void copy_tokenizer(const std::filesystem::path& source, const std::filesystem::path& folder);

}  // namespace dsrasq::text
