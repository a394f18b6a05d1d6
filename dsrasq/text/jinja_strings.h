#pragma once

// Python's `str` methods on UTF-8. Positions count code points; a byte that is not UTF-8 counts as
// one code point and is kept. Case follows the simple Unicode mappings (and "ss" for sharp s).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/text/jinja_value.h"

namespace dsrasq::text::jinja {

/// `str.isspace` of one code point.
bool is_space(char32_t value);

std::vector<std::string_view> characters(Work& work, std::string_view text);
int64_t n_characters(Work& work, std::string_view text);

/// `text.find(part, from)` in time that does not grow with their product.
size_t find_text(std::string_view text, std::string_view part, size_t from);

/// Characters `begin` to before `end`, which may lie behind the text's own end.
std::string_view substring(std::string_view text, size_t begin, size_t end);

/// Cuts the characters of `chars`, or white space, off the chosen ends.
std::string_view strip(std::string_view text, std::optional<std::string_view> chars, bool left,
                       bool right);

/// `str.split` and `str.rsplit`: at white space when there is no separator; -1 cuts everywhere.
/// Fails at an empty separator.
std::vector<std::string_view> split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t max_cuts,
                                    bool from_right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

/// `str.replace`; -1 replaces all. Charges for the result before it is made.
std::string replace(Work& work, std::string_view text, std::string_view old, std::string_view by,
                    int64_t max_count);

enum class Case { kUpper, kLower, kTitle, kCapitalize };
/// Title: the letters after one that has no case become upper case, as in `str.title`.
std::string change_case(std::string_view text, Case to);
/// The `title` filter: words begin after white space and any of `-({[<`.
std::string title_words(std::string_view text);

/// `str.isalpha` and its like: not empty, and every character is of the class.
enum class CharTest { kAlpha, kDigit, kAlnum, kSpace, kUpper, kLower };
bool all_characters(std::string_view text, CharTest test);

/// The text as Python writes it in a list, quotes included.
std::string quoted(std::string_view text);

}  // namespace dsrasq::text::jinja
