#pragma once

// Texts as Python's `str` sees them: the reference packages are written in Python.

#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::metrics {

/// Valid UTF-8: bytes that are none become U+FFFD, as in `bytes.decode(errors="replace")`.
std::string repaired(std::string_view text);

/// `str.lower` of the repaired text: the full mapping, with the final form of a sigma at the end of
/// a word.
std::string lower(std::string_view text);

/// `str.split()`: the parts between runs of Unicode white space; views into `text`, which must be
/// valid.
std::vector<std::string_view> split_at_space(std::string_view text);

/// `str.strip()` and `str.rstrip()` of a valid text.
std::string_view strip(std::string_view text);
std::string_view strip_right(std::string_view text);

/// `str.replace`. `old` must not be empty.
std::string replaced(std::string_view text, std::string_view old, std::string_view by);

/// What `\b` and `\w` of Python's `re` count as part of a word: letters and numbers, not marks, and
/// the underscore.
bool is_word(char32_t value);

}  // namespace dsrasq::metrics
