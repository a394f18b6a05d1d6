#include "dsrasq/metrics/python_text.h"

#include <utf8proc.h>

#include <optional>

#include "dsrasq/text/char_class.h"
#include "dsrasq/text/jinja_strings.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::metrics {
namespace {

constexpr char32_t kCapitalSigma = 0x3A3;
constexpr char32_t kSigma = 0x3C3;
constexpr char32_t kFinalSigma = 0x3C2;
constexpr char32_t kDottedCapitalI = 0x130;  // the one whose lower case is two code points
constexpr char32_t kDotAbove = 0x307;

// Unicode's Case_Ignorable: marks, format characters, modifiers, and the punctuation that may stand
// inside a word.
bool is_case_ignorable(char32_t value) {
  switch (value) {
    case '\'':
    case '.':
    case ':':
    case 0xB7:
    case 0x387:
    case 0x55F:
    case 0x5F4:
    case 0x2018:
    case 0x2019:
    case 0x2024:
    case 0x2027:
    case 0xFE13:
    case 0xFE52:
    case 0xFE55:
    case 0xFF07:
    case 0xFF0E:
    case 0xFF1A: return true;
    default: break;
  }
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK: return true;
    default: return false;
  }
}

// Unicode's Cased, of what is not ignorable.
bool is_cased(char32_t value) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT: return true;
    default: break;
  }
  const auto within = [&](char32_t first, char32_t last) {
    return value >= first && value <= last;
  };
  return value == 0xAA || value == 0xBA || within(0x2160, 0x217F) || within(0x24B6, 0x24E9) ||
         within(0x1F130, 0x1F149) || within(0x1F150, 0x1F169) || within(0x1F170, 0x1F189);
}

// Unicode's Final_Sigma: a cased letter before, none after.
bool is_final(std::string_view text, size_t begin, size_t end) {
  bool is_after_letter = false;
  while (begin > 0) {
    const text::CodePoint before = text::read_code_point_before(text, begin);
    begin -= before.length;
    if (is_case_ignorable(before.value)) continue;
    is_after_letter = is_cased(before.value);
    break;
  }
  if (!is_after_letter) return false;
  while (end < text.size()) {
    const text::CodePoint after = text::read_code_point(text, end);
    end += after.length;
    if (!is_case_ignorable(after.value)) return !is_cased(after.value);
  }
  return true;
}

}  // namespace

std::string repaired(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  text::append_repaired(out, text, false);
  return out;
}

std::string lower(std::string_view text) {
  const std::string valid = repaired(text);
  std::string out;
  out.reserve(valid.size());
  for (size_t at = 0; at < valid.size();) {
    const text::CodePoint point = text::read_code_point(valid, at);
    const size_t end = at + point.length;
    if (point.value == kCapitalSigma) {
      text::append_utf8(out, is_final(valid, at, end) ? kFinalSigma : kSigma);
    } else if (point.value == kDottedCapitalI) {
      out += 'i';
      text::append_utf8(out, kDotAbove);
    } else {
      text::append_utf8(
          out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value))));
    }
    at = end;
  }
  return out;
}

std::vector<std::string_view> split_at_space(std::string_view text) {
  return text::jinja::split(text, std::nullopt, -1, false);
}

std::string_view strip(std::string_view text) {
  return text::jinja::strip(text, std::nullopt, true, true);
}

std::string_view strip_right(std::string_view text) {
  return text::jinja::strip(text, std::nullopt, false, true);
}

std::string replaced(std::string_view text, std::string_view old, std::string_view by) {
  std::string out;
  size_t from = 0;
  for (size_t at; (at = text.find(old, from)) != std::string_view::npos; from = at + old.size()) {
    out += text.substr(from, at - from);
    out += by;
  }
  return out += text.substr(from);
}

bool is_word(char32_t value) {
  const text::CharClass found = text::char_class(value);
  return found == text::CharClass::kLetter || found == text::CharClass::kNumber || value == '_';
}

}  // namespace dsrasq::metrics
