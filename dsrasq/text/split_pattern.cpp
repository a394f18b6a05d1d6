#include "dsrasq/text/split_pattern.h"

#include <limits>

#include "dsrasq/text/char_class.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

struct Place {
  char32_t value = 0;
  CharClass kind = CharClass::kOther;
  uint32_t end = 0;
};

// What stands at `at`; at the end of the text a place that is nothing a pattern asks for.
Place place_at(std::string_view text, uint32_t at) {
  if (at >= text.size()) return {0, CharClass::kSpace, at};
  const CodePoint point = read_code_point(text, at);
  return {point.value, char_class(point.value), at + point.length};
}

uint32_t run_end(std::string_view text, uint32_t at, CharClass kind,
                 uint32_t max_count = std::numeric_limits<uint32_t>::max()) {
  for (; at < text.size() && max_count > 0; --max_count) {
    const Place place = place_at(text, at);
    if (place.kind != kind) break;
    at = place.end;
  }
  return at;
}

bool is_newline(char32_t value) { return value == '\n' || value == '\r'; }

// U+017F, the long s, folds to s.
char32_t folded(char32_t value, bool fold) {
  if (!fold) return value;
  return value == 0x17F ? U's' : value >= 'A' && value <= 'Z' ? value + 32 : value;
}

// The end of 's 't 're 've 'm 'll 'd at `at`, or `at`.
uint32_t contraction_end(std::string_view text, uint32_t at, bool fold) {
  if (text[at] != '\'') return at;
  const Place first = place_at(text, at + 1);
  if (first.end == at + 1) return at;
  const char32_t a = folded(first.value, fold);
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return first.end;
  const Place second = place_at(text, first.end);
  if (second.end == first.end) return at;
  const char32_t b = folded(second.value, fold);
  const bool matches = (b == 'e' && (a == 'r' || a == 'v')) || (a == 'l' && b == 'l');
  return matches ? second.end : at;
}

// \s+(?!\S)|\s+ on the run [at, end): all of it at the end of the text, else all but its last
// code point, unless it has only one.
uint32_t space_match_end(std::string_view text, uint32_t at, uint32_t end) {
  if (end == text.size()) return end;
  const uint32_t last = end - read_code_point_before(text, end).length;
  return last > at ? last : end;
}

}  // namespace

uint32_t gpt2_match_end(std::string_view text, uint32_t at) {
  const uint32_t contraction = contraction_end(text, at, false);
  if (contraction != at) return contraction;
  Place place = place_at(text, at);
  if (place.value == ' ') {
    const Place next = place_at(text, place.end);
    if (next.kind != CharClass::kSpace) place = next;
  }
  const uint32_t end = run_end(text, place.end, place.kind);
  return place.kind == CharClass::kSpace ? space_match_end(text, at, end) : end;
}

uint32_t llama3_match_end(std::string_view text, uint32_t at, uint32_t max_digits) {
  const uint32_t contraction = contraction_end(text, at, true);
  if (contraction != at) return contraction;
  const Place place = place_at(text, at);
  if (place.kind == CharClass::kLetter) return run_end(text, place.end, CharClass::kLetter);
  if (place.kind == CharClass::kNumber) return run_end(text, at, CharClass::kNumber, max_digits);
  const Place next = place_at(text, place.end);
  if (next.kind == CharClass::kLetter && !is_newline(place.value))
    return run_end(text, next.end, CharClass::kLetter);
  if (place.kind == CharClass::kOther || (place.value == ' ' && next.kind == CharClass::kOther)) {
    uint32_t end = run_end(text, place.end, CharClass::kOther);
    while (end < text.size() && is_newline(static_cast<unsigned char>(text[end]))) ++end;
    return end;
  }
  const uint32_t end = run_end(text, place.end, CharClass::kSpace);
  for (uint32_t newline = end; newline > at; --newline)
    if (is_newline(static_cast<unsigned char>(text[newline - 1]))) return newline;
  return space_match_end(text, at, end);
}

}  // namespace dsrasq::text
