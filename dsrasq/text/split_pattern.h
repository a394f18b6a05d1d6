#pragma once

// The pre-tokeniser patterns of GPT-2 and of Llama 3 / Qwen 2, written out by hand: the same
// matches as their regular expressions, which cover every text, in one pass.

#include <string_view>

#include "dsrasq/text/aligned_text.h"

namespace dsrasq::text {

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// Where the match of kGpt2Pattern ends that begins at `at` of `text` (valid UTF-8).
uint32_t gpt2_match_end(std::string_view text, uint32_t at);
/// The same for kLlama3Pattern (at most 3 digits) and kQwen2Pattern (1).
uint32_t llama3_match_end(std::string_view text, uint32_t at, uint32_t max_digits);

}  // namespace dsrasq::text
