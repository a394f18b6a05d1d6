#include "dsrasq/text/jinja_strings.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstring>

#include "dsrasq/text/char_class.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text::jinja {
namespace {

// The character at `at`; one byte where the text is not UTF-8.
std::string_view character_at(std::string_view text, size_t at) {
  const CodePoint found = read_code_point(text, at);
  return text.substr(at, found.is_valid ? found.length : 1);
}

char32_t value_of(std::string_view character) { return read_code_point(character, 0).value; }

std::string_view last_character(std::string_view text) {
  const CodePoint found = read_code_point_before(text, text.size());
  return text.substr(text.size() - (found.is_valid ? found.length : 1));
}

template <class Visit>
void for_each_character(std::string_view text, const Visit& visit) {
  for (size_t at = 0; at < text.size();) {
    const std::string_view character = character_at(text, at);
    visit(character);
    at += character.size();
  }
}

utf8proc_category_t category(char32_t value) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(value));
}

bool has_case(char32_t value) {
  const utf8proc_category_t c = category(value);
  return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

void append_case(std::string& out, std::string_view character, Case to) {
  const CodePoint found = read_code_point(character, 0);
  if (!found.is_valid) {
    out += character;
  } else if (found.value == 0xDF && to != Case::kLower) {
    out += to == Case::kUpper ? "SS" : "Ss";
  } else {
    const auto value = static_cast<utf8proc_int32_t>(found.value);
    const utf8proc_int32_t changed = to == Case::kLower   ? utf8proc_tolower(value)
                                     : to == Case::kUpper ? utf8proc_toupper(value)
                                                          : utf8proc_totitle(value);
    append_utf8(out, static_cast<char32_t>(changed));
  }
}

// Of the text that remains when no more cuts are allowed, only the side that was cut is stripped.
std::vector<std::string_view> split_at_space(std::string_view text, int64_t max_cuts,
                                             bool from_right) {
  std::vector<std::string_view> parts;
  const auto character = [&](size_t n) {  // the one after the first, or before the last, n bytes
    return from_right ? last_character(text.substr(0, text.size() - n)) : character_at(text, n);
  };
  while (!(text = strip(text, std::nullopt, !from_right, from_right)).empty()) {
    size_t n = max_cuts-- == 0 ? text.size() : 0;
    while (n < text.size() && !is_space(value_of(character(n)))) n += character(n).size();
    parts.push_back(from_right ? text.substr(text.size() - n) : text.substr(0, n));
    text = from_right ? text.substr(0, text.size() - n) : text.substr(n);
  }
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

// The characters at which `str.splitlines` cuts.
bool ends_line(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_printable(char32_t value) {
  if (value == ' ') return true;
  switch (category(value)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

std::string escaped(char32_t value) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  const int n_digits = value < 0x100 ? 2 : value < 0x10000 ? 4 : 8;
  std::string out = n_digits == 2 ? "\\x" : n_digits == 4 ? "\\u" : "\\U";
  for (int i = n_digits - 1; i >= 0; --i) out += kDigits[value >> (4 * i) & 0xF];
  return out;
}

}  // namespace

bool is_space(char32_t value) {
  return char_class(value) == CharClass::kSpace || (value >= 0x1C && value <= 0x1F);
}

std::vector<std::string_view> characters(Work& work, std::string_view text) {
  std::vector<std::string_view> out;
  work.charge_items(text.size());
  for_each_character(text, [&](std::string_view character) { out.push_back(character); });
  return out;
}

int64_t n_characters(Work& work, std::string_view text) {
  work.charge(text.size());
  int64_t n = 0;
  for_each_character(text, [&](std::string_view) { ++n; });
  return n;
}

size_t find_text(std::string_view text, std::string_view part, size_t from) {
  if (part.empty()) return from;
  const void* found = ::memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

std::string_view substring(std::string_view text, size_t begin, size_t end) {
  size_t at = 0;
  const auto skip = [&](size_t n) {
    for (; n > 0 && at < text.size(); --n) at += character_at(text, at).size();
    return at;
  };
  const size_t first = skip(begin);
  return text.substr(first, skip(end - begin) - first);
}

std::string_view strip(std::string_view text, std::optional<std::string_view> chars, bool left,
                       bool right) {
  const auto goes = [&](std::string_view character) {
    return chars ? chars->find(character) != std::string_view::npos : is_space(value_of(character));
  };
  while (left && !text.empty() && goes(character_at(text, 0))) {
    text.remove_prefix(character_at(text, 0).size());
  }
  while (right && !text.empty() && goes(last_character(text))) {
    text.remove_suffix(last_character(text).size());
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text,
                                    std::optional<std::string_view> separator, int64_t max_cuts,
                                    bool from_right) {
  if (!separator) return split_at_space(text, max_cuts, from_right);
  if (separator->empty()) fail("empty separator");
  std::vector<std::string_view> parts;
  while (max_cuts-- != 0) {
    const size_t at = from_right ? text.rfind(*separator) : find_text(text, *separator, 0);
    if (at == std::string_view::npos) break;
    const std::string_view before = text.substr(0, at);
    const std::string_view after = text.substr(at + separator->size());
    parts.push_back(from_right ? after : before);
    text = from_right ? before : after;
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t line_end = at;
    const std::string_view character = character_at(text, at);
    at += character.size();
    if (!ends_line(value_of(character))) continue;
    if (character == "\r" && text.substr(at).starts_with('\n')) ++at;
    lines.push_back(text.substr(begin, (keep_ends ? at : line_end) - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string replace(Work& work, std::string_view text, std::string_view old, std::string_view by,
                    int64_t max_count) {
  std::string out;
  size_t at = 0;
  const auto put = [&](std::string_view part) {
    work.charge_text(out, part.size());
    out += part;
  };
  work.charge(text.size());
  while (max_count-- != 0) {
    const size_t found = find_text(text, old, at);
    if (found == std::string_view::npos) break;
    put(text.substr(at, found - at));
    put(by);
    at = found + old.size();
    if (!old.empty()) continue;
    if (at == text.size()) return out;
    put(character_at(text, at));  // an empty pattern matches before every character and at the end
    at += character_at(text, at).size();
  }
  put(text.substr(std::min(at, text.size())));
  return out;
}

std::string change_case(std::string_view text, Case to) {
  std::string out;
  bool inside_word = false;
  for_each_character(text, [&](std::string_view character) {
    const bool follows = to == Case::kTitle ? inside_word : !out.empty();
    const bool is_mixed = to == Case::kTitle || to == Case::kCapitalize;
    append_case(out, character, !is_mixed ? to : follows ? Case::kLower : Case::kTitle);
    inside_word = has_case(value_of(character));
  });
  return out;
}

std::string title_words(std::string_view text) {
  std::string out;
  bool at_start = true;
  for_each_character(text, [&](std::string_view character) {
    const bool is_between = is_space(value_of(character)) ||
                            std::string_view("-({[<").find(character) != std::string_view::npos;
    append_case(out, character, at_start ? Case::kUpper : Case::kLower);
    at_start = is_between;
  });
  return out;
}

bool all_characters(std::string_view text, CharTest test) {
  bool all = !text.empty(), any_case = false;
  for_each_character(text, [&](std::string_view character) {
    const char32_t value = value_of(character);
    const CharClass type = char_class(value);
    const bool is_digit = category(value) == UTF8PROC_CATEGORY_ND;
    any_case = any_case || has_case(value);
    switch (test) {
      case CharTest::kAlpha: all = all && type == CharClass::kLetter; break;
      case CharTest::kDigit: all = all && is_digit; break;
      case CharTest::kAlnum:
        all = all && (type == CharClass::kLetter || type == CharClass::kNumber);
        break;
      case CharTest::kSpace: all = all && is_space(value); break;
      case CharTest::kUpper: all = all && category(value) != UTF8PROC_CATEGORY_LL; break;
      case CharTest::kLower: all = all && category(value) != UTF8PROC_CATEGORY_LU; break;
    }
  });
  const bool needs_case = test == CharTest::kUpper || test == CharTest::kLower;
  return all && (any_case || !needs_case);
}

std::string quoted(std::string_view text) {
  const bool in_double =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = in_double ? '"' : '\'';
  std::string out(1, quote);
  for_each_character(text, [&](std::string_view character) {
    const CodePoint found = read_code_point(character, 0);
    const char c = character[0];
    if (!found.is_valid) {
      out += escaped(static_cast<unsigned char>(c));
    } else if (c == quote || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(found.value)) {
      out += character;
    } else {
      out += escaped(found.value);
    }
  });
  return out + quote;
}

}  // namespace dsrasq::text::jinja
