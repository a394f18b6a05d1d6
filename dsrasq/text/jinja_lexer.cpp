#include "dsrasq/text/jinja_lexer.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "dsrasq/core/error.h"
#include "dsrasq/text/jinja_strings.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text::jinja {
namespace {

constexpr size_t kMaxSourceBytes = 1 << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_char(char c) {
  return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// One kind of newline, and none at the very end.
std::string normalised(std::string_view source) {
  std::string out;
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r' && source.substr(i + 1).starts_with('\n')) continue;
    out += source[i] == '\r' ? '\n' : source[i];
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalised(source)) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) lex_outside();
    add(TokenKind::kEnd, {});
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(at_); }

  void add(TokenKind kind, std::string_view text) {
    tokens_.push_back({.kind = kind, .text = std::string(text), .line = line_});
  }

  void advance(size_t n) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                         source_.begin() + static_cast<ptrdiff_t>(at_ + n), '\n'));
    at_ += n;
    if (n > 0) at_line_start_ = source_[at_ - 1] == '\n';
  }

  void skip_space() {
    while (at_ < source_.size()) {
      const CodePoint found = read_code_point(source_, at_);
      if (!is_space(found.value)) return;
      advance(found.length);
    }
  }

  bool skip_if(std::string_view text) {
    if (!rest().starts_with(text)) return false;
    advance(text.size());
    return true;
  }

  // The end of a block or comment: `close` with its sign; it takes white space or one newline
  // along.
  bool skip_close(std::string_view close) {
    if (skip_if("-" + std::string(close))) {
      skip_space();
      return true;
    }
    if (skip_if("+" + std::string(close))) return true;
    if (!skip_if(close)) return false;
    skip_if("\n");
    return true;
  }

  // Where the next tag opens.
  size_t find_tag() const {
    for (size_t i = at_; (i = source_.find('{', i)) != std::string::npos; ++i) {
      const char next = i + 1 < source_.size() ? source_[i + 1] : '\0';
      if (next == '{' || next == '%' || next == '#') return i;
    }
    return std::string::npos;
  }

  // Text before a tag at `end`, cut as the tag's sign and lstrip_blocks ask.
  void add_data(size_t end, bool is_output) {
    std::string_view text = std::string_view(source_).substr(at_, end - at_);
    const char sign = end + 2 < source_.size() ? source_[end + 2] : '\0';
    if (sign == '-') {
      text = strip(text, std::nullopt, false, true);
    } else if (sign != '+' && !is_output) {
      const size_t line_start = text.rfind('\n') + 1;  // 0 when there is none
      const bool is_whole_line = line_start > 0 || at_line_start_;
      const std::string_view last = text.substr(line_start);
      if (is_whole_line && strip(last, std::nullopt, true, false).empty()) {
        text = text.substr(0, line_start);
      }
    }
    if (!text.empty()) add(TokenKind::kData, text);
    advance(end - at_);
  }

  void lex_outside() {
    const size_t tag = find_tag();
    if (tag == std::string::npos) {
      add(TokenKind::kData, rest());
      return advance(rest().size());
    }
    const char type = source_[tag + 1];
    add_data(tag, type == '{');
    if (type == '%' && skip_raw_begin()) return lex_raw();
    const int line = line_;
    advance(2);
    if (!skip_if("-")) skip_if("+");
    if (type == '#') return skip_comment(line);
    add(type == '{' ? TokenKind::kOutputBegin : TokenKind::kBlockBegin, {});
    lex_inside(type == '{', line);
  }

  void skip_comment(int line) {
    const size_t close = source_.find("#}", at_);
    if (close == std::string::npos) fail_at(line, "the comment that begins here has no end");
    const bool has_sign = close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+');
    advance(close - at_ - (has_sign ? 1 : 0));
    skip_close("#}");
  }

  struct Position {
    size_t at;
    int line;
    bool at_line_start;
  };
  Position position() const { return {at_, line_, at_line_start_}; }
  void go_back(const Position& to) {
    at_ = to.at;
    line_ = to.line;
    at_line_start_ = to.at_line_start;
  }

  // `{% raw %}`, of which nothing but the text up to `{% endraw %}` is a token.
  bool skip_raw_begin() {
    const Position begin = position();
    advance(2);
    if (!skip_if("-")) skip_if("+");
    skip_space();
    if (skip_if("raw")) {
      skip_space();
      if (skip_if("-%}")) {
        skip_space();
        return true;
      }
      if (skip_if("%}")) return true;
    }
    go_back(begin);
    return false;
  }

  void lex_raw() {
    const Position begin = position();
    for (size_t from = at_; (from = source_.find("{%", from)) != std::string::npos; ++from) {
      at_ = from + 2;  // only looking: lines are counted below
      if (!skip_if("-")) skip_if("+");
      skip_space();
      bool is_end = skip_if("endraw");
      skip_space();
      is_end = is_end && skip_close("%}");
      const size_t end = at_;
      go_back(begin);
      if (!is_end) continue;
      add_data(from, false);
      return advance(end - at_);
    }
    fail_at(line_, "the raw block that begins here has no end");
  }

  // The inside of a tag up to and with its end, which counts only outside of brackets.
  void lex_inside(bool is_output, int line) {
    std::string open;
    while (true) {
      skip_space();
      if (at_ >= source_.size()) fail_at(line, "the tag that begins here has no end");
      if (open.empty() && skip_tag_end(is_output)) return;
      lex_token(open);
    }
  }

  bool skip_tag_end(bool is_output) {
    const int line = line_;
    if (!is_output && skip_close("%}")) {
      tokens_.push_back({.kind = TokenKind::kBlockEnd, .line = line});
      return true;
    }
    if (!is_output) return false;
    if (skip_if("-}}")) {
      skip_space();
    } else if (!skip_if("}}")) {
      return false;
    }
    tokens_.push_back({.kind = TokenKind::kOutputEnd, .line = line});
    return true;
  }

  void lex_token(std::string& open) {
    const char c = source_[at_];
    if (is_digit(c)) return lex_number();
    if (c == '\'' || c == '"') return lex_string(c);
    if (is_name_char(c)) {
      size_t n = 1;
      while (at_ + n < source_.size() && is_name_char(source_[at_ + n])) ++n;
      add(TokenKind::kName, rest().substr(0, n));
      return advance(n);
    }
    lex_operator(open);
  }

  void lex_operator(std::string& open) {
    size_t n = 0;
    for (const std::string_view two : {"//", "**", "==", "!=", ">=", "<="}) {
      if (rest().starts_with(two)) n = 2;
    }
    const char c = source_[at_];
    if (n == 0 && std::string_view("+-/*%~[](){}><=.:|,;").find(c) != std::string_view::npos) n = 1;
    if (n == 0) fail_at(line_, concat("unexpected character ", quoted(rest().substr(0, 1))));
    if (c == '(' || c == '[' || c == '{') open += c;
    if (c == ')' || c == ']' || c == '}') {
      const char partner = c == ')' ? '(' : c == ']' ? '[' : '{';
      if (open.empty() || open.back() != partner) fail_at(line_, concat("unexpected '", c, "'"));
      open.pop_back();
    }
    add(TokenKind::kOperator, rest().substr(0, n));
    advance(n);
  }

  // Digits with single underscores between them, from `at`; the length.
  size_t n_digits(size_t at, int base) const {
    const auto is_good = [&](size_t i) {
      const char c = i < source_.size() ? source_[i] : '\0';
      const char lower = static_cast<char>(c | 0x20);
      return base == 16 ? is_digit(c) || (lower >= 'a' && lower <= 'f')
                        : c >= '0' && c < '0' + base;
    };
    size_t n = 0;
    while (is_good(at + n) || (source_.compare(at + n, 1, "_") == 0 && is_good(at + n + 1))) ++n;
    return n;
  }

  void lex_number() {
    const char letter = at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : ' ';
    const int base = source_[at_] != '0' ? 10
                     : letter == 'x'     ? 16
                     : letter == 'o'     ? 8
                     : letter == 'b'     ? 2
                                         : 10;
    const size_t prefix = base == 10 ? 0 : 2;
    size_t n = prefix + n_digits(at_ + prefix, base);
    bool is_float = false;
    const bool after_dot = !tokens_.empty() && tokens_.back().is_operator(".");
    if (base == 10 && !after_dot) {
      const size_t fraction = source_.compare(at_ + n, 1, ".") == 0 ? n_digits(at_ + n + 1, 10) : 0;
      if (fraction > 0) n += 1 + fraction;
      is_float = fraction > 0;
      if (at_ + n < source_.size() && (source_[at_ + n] | 0x20) == 'e') {
        size_t exponent = n + 1;
        if (source_.compare(at_ + exponent, 1, "-") == 0 ||
            source_.compare(at_ + exponent, 1, "+") == 0) {
          ++exponent;
        }
        const size_t digits = n_digits(at_ + exponent, 10);
        if (digits > 0) n = exponent + digits;
        is_float = is_float || digits > 0;
      }
    }
    std::string digits(rest().substr(prefix, n - prefix));
    std::erase(digits, '_');
    Token token{.kind = is_float ? TokenKind::kFloat : TokenKind::kInteger, .line = line_};
    token.text = std::string(rest().substr(0, n));
    const char *begin = digits.data(), *end = begin + digits.size();
    const auto code = is_float ? std::from_chars(begin, end, token.number).ec
                               : std::from_chars(begin, end, token.integer, base).ec;
    if (code != std::errc()) fail_at(line_, concat("number ", token.text, " is out of range"));
    tokens_.push_back(std::move(token));
    advance(n);
  }

  void lex_string(char quote) {
    Token token{.kind = TokenKind::kString, .line = line_};
    size_t i = at_ + 1;
    while (i < source_.size() && source_[i] != quote) {
      if (source_[i] != '\\') {
        token.text += source_[i++];
      } else {
        i = append_escape(token.text, i + 1);
      }
    }
    if (i >= source_.size()) fail_at(line_, "the string that begins here has no end");
    tokens_.push_back(std::move(token));
    advance(i + 1 - at_);
  }

  // Resolves the escape whose letter stands at `i`; returns where the text goes on.
  size_t append_escape(std::string& out, size_t i) {
    if (i >= source_.size()) return i;
    const char c = source_[i];
    constexpr std::string_view kLetters = "abfnrtv\\'\"\n";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t which = kLetters.find(c); which != std::string_view::npos) {
      if (which < kMeanings.size()) out += kMeanings[which];  // an escaped newline is nothing
      return i + 1;
    }
    const bool is_octal = c >= '0' && c <= '7';
    const size_t want = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : is_octal ? 3 : 0;
    if (want == 0) {
      out += '\\';
      return i;  // an unknown escape stands for itself
    }
    const size_t begin = is_octal ? i : i + 1;
    const char* first = source_.data() + begin;
    const char* last = first + std::min(want, source_.size() - begin);
    uint32_t value = 0;
    const auto [end, code] = std::from_chars(first, last, value, is_octal ? 8 : 16);
    const bool is_short = !is_octal && end != first + want;
    const bool is_surrogate = value >= 0xD800 && value < 0xE000;
    if (code != std::errc() || is_short || is_surrogate || value > 0x10FFFF) {
      fail_at(line_, concat("escape \\", c, " is not followed by a valid character code"));
    }
    append_utf8(out, value);
    return begin + static_cast<size_t>(end - first);
  }

  std::string source_;
  size_t at_ = 0;
  int line_ = 1;
  bool at_line_start_ = true;  // the last thing that was read ended a line
  std::vector<Token> tokens_;
};

}  // namespace

void fail_at(int line, std::string_view what) {
  throw Error(ErrorCode::kBadInput, "text.chat_template",
              concat("template line ", line, ": ", what));
}

std::vector<Token> tokenize(std::string_view source) {
  DSRASQ_CHECK(source.size() <= kMaxSourceBytes, kBadInput, "text.chat_template",
               "the template has ", source.size(), " bytes, want at most ", kMaxSourceBytes);
  return Lexer(source).run();
}

}  // namespace dsrasq::text::jinja
