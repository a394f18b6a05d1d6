#pragma once

// The alphabet in which byte-level vocabularies write their tokens: one printable code point for
// every byte (GPT-2).

#include <cstdint>
#include <string>
#include <string_view>

namespace dsrasq::text {

/// The code point, in UTF-8, that stands for `byte`.
std::string_view byte_letter(uint8_t byte);

/// Appends `bytes` in letters.
void append_letters(std::string& out, std::string_view bytes);

/// Appends the bytes that the letters of `token` stand for; the token's own UTF-8 when one of its
/// code points is no letter of the alphabet.
void append_bytes(std::string& out, std::string_view token);

}  // namespace dsrasq::text
