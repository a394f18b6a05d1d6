#include "dsrasq/metrics/bleu_tokenizer.h"

#include "dsrasq/metrics/intl_class.h"
#include "dsrasq/metrics/python_text.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::metrics {
namespace {

// Walks over a text as a regular expression that matches two neighbours does: where
// `is_pair(first, second)` holds, `put` writes both and the walk goes on behind them.
template <class Text, class IsPair, class Put>
Text rewrite_pairs(const Text& text, const IsPair& is_pair, const Put& put) {
  Text out;
  for (size_t at = 0; at < text.size(); ++at) {
    if (at + 1 < text.size() && is_pair(text[at], text[at + 1])) {
      put(out, text[at], text[at + 1]);
      ++at;
    } else {
      out += text[at];
    }
  }
  return out;
}

// "a." to "a . ", and ".a" to " . a".
constexpr auto kSpaceAroundSecond = [](auto& out, auto first, auto second) {
  out += first;
  out += ' ';
  out += second;
  out += ' ';
};
constexpr auto kSpaceAroundFirst = [](auto& out, auto first, auto second) {
  out += ' ';
  out += first;
  out += ' ';
  out += second;
};

template <class Text, class IsOne>
Text space_around(const Text& text, const IsOne& is_one) {
  Text out;
  for (const auto c : text) {
    if (!is_one(c)) {
      out += c;
      continue;
    }
    out += ' ';
    out += c;
    out += ' ';
  }
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_comma_or_stop(char c) { return c == ',' || c == '.'; }
// ASCII punctuation and symbols but for ' , - and the full stop.
bool is_separate(char c) {
  return (c >= ' ' && c <= '&') || (c >= '(' && c <= '+') || c == '/' || (c >= ':' && c <= '@') ||
         (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

// Bytes will do: all that is looked for is ASCII.
std::string spaced_13a(std::string_view line) {
  std::string text = replaced(line, "<skipped>", "");
  text = replaced(text, "-\n", "");
  text = replaced(text, "\n", " ");
  text = replaced(text, "&quot;", "\"");
  text = replaced(text, "&amp;", "&");
  text = replaced(text, "&lt;", "<");
  text = " " + replaced(text, "&gt;", ">") + " ";
  text = space_around(text, is_separate);
  text = rewrite_pairs(
      text, [](char a, char b) { return !is_digit(a) && is_comma_or_stop(b); }, kSpaceAroundSecond);
  text = rewrite_pairs(
      text, [](char a, char b) { return is_comma_or_stop(a) && !is_digit(b); }, kSpaceAroundFirst);
  return rewrite_pairs(
      text, [](char a, char b) { return is_digit(a) && b == '-'; }, kSpaceAroundSecond);
}

std::u32string code_points(std::string_view text) {
  std::u32string out;
  for (size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::read_code_point(text, at);
    out += point.value;
    at += point.length;
  }
  return out;
}

std::string spaced_intl(std::string_view line) {
  const auto is = [](IntlClass wanted) {
    return [wanted](char32_t c) { return intl_class(c) == wanted; };
  };
  const auto is_number = is(IntlClass::kNumber);
  const auto is_punctuation = is(IntlClass::kPunctuation);
  std::u32string text = code_points(line);
  text = rewrite_pairs(
      text, [&](char32_t a, char32_t b) { return !is_number(a) && is_punctuation(b); },
      kSpaceAroundSecond);
  text = rewrite_pairs(
      text, [&](char32_t a, char32_t b) { return is_punctuation(a) && !is_number(b); },
      kSpaceAroundFirst);
  std::string out;
  for (const char32_t c : space_around(text, is(IntlClass::kSymbol))) text::append_utf8(out, c);
  return out;
}

}  // namespace

std::vector<std::string> bleu_tokens(std::string_view text, BleuTokenizer tokenizer) {
  const std::string valid = repaired(text);
  const std::string_view line = strip_right(valid);
  const std::string spaced =
      tokenizer == BleuTokenizer::k13a ? spaced_13a(line) : spaced_intl(line);
  const std::vector<std::string_view> tokens = split_at_space(spaced);
  return {tokens.begin(), tokens.end()};
}

}  // namespace dsrasq::metrics
