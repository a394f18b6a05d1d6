#include "dsrasq/text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

constexpr const char* kInRegex = "text.regex";
constexpr size_t kMaxPatternBytes = 1 << 14;
constexpr uint32_t kMatchLimit = 1'000'000;
constexpr uint32_t kHeapLimitKib = 1 << 16;
constexpr size_t kJitStackBytes = 1 << 20;

std::string reason_of(int code) {
  PCRE2_UCHAR buffer[160];
  pcre2_get_error_message(code, buffer, sizeof buffer);
  return reinterpret_cast<const char*>(buffer);
}

// PCRE2 counts U+180E as a space, Unicode and Oniguruma do not: writes \s and \S out. Inside
// brackets a \S stays as it is.
std::string with_unicode_spaces(std::string_view pattern) {
  constexpr std::string_view kSpaces = R"(\t-\r\x{85}\p{Z})";
  std::string out;
  bool in_brackets = false;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c == '\\' && at + 1 < pattern.size()) {
      const char next = pattern[++at];
      if (next == 's' && in_brackets) {
        out += kSpaces;
      } else if ((next == 's' || next == 'S') && !in_brackets) {
        out.append(next == 's' ? "[" : "[^").append(kSpaces).append("]");
      } else {
        out.append({c, next});
      }
      continue;
    }
    out += c;
    if (c == '[' && !in_brackets) {
      in_brackets = true;
      if (pattern.substr(at + 1).starts_with('^')) out += pattern[++at];
      if (pattern.substr(at + 1).starts_with(']')) out += pattern[++at];
    } else if (c == ']') {
      in_brackets = false;
    }
  }
  return out;
}

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using MatchData = std::unique_ptr<pcre2_match_data, Freer<pcre2_match_data_free>>;
using MatchContext = std::unique_ptr<pcre2_match_context, Freer<pcre2_match_context_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freer<pcre2_compile_context_free>>;
using JitStack = std::unique_ptr<pcre2_jit_stack, Freer<pcre2_jit_stack_free>>;

// What matching needs beside a pattern; making it costs more than a short match.
struct MatchState {
  MatchData data{pcre2_match_data_create(1, nullptr)};
  MatchContext context{pcre2_match_context_create(nullptr)};
  JitStack stack{pcre2_jit_stack_create(1 << 15, kJitStackBytes, nullptr)};

  MatchState() {
    pcre2_set_match_limit(context.get(), kMatchLimit);
    pcre2_set_heap_limit(context.get(), kHeapLimitKib);
    pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
};

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Freer<pcre2_code_free>> code;
};

Regex::Regex(std::string_view pattern) : code_(std::make_unique<Code>()) {
  DSRASQ_CHECK(pattern.size() <= kMaxPatternBytes, kBadInput, kInRegex, "the pattern has ",
               pattern.size(), " bytes, want at most ", kMaxPatternBytes);
  const std::string written = with_unicode_spaces(pattern);
  const CompileContext context(pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  size_t at = 0;
  // Multi-line: in Oniguruma's Ruby syntax ^ and $ always stand for line ends.
  code_->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(written.data()), written.size(),
                                  PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C,
                                  &error, &at, context.get()));
  DSRASQ_CHECK(code_->code, kBadInput, kInRegex, "not a pattern: ", reason_of(error), " at byte ",
               at);
  // Where there is no JIT, or the pattern is not for it, matching interprets.
  pcre2_jit_compile(code_->code.get(), PCRE2_JIT_COMPLETE);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

void Regex::find_all(std::string_view text, uint32_t offset, std::vector<Match>& out) const {
  thread_local const MatchState state;
  const auto emit = [&](size_t begin, size_t end, bool is_match) {
    out.push_back(
        {{offset + static_cast<uint32_t>(begin), offset + static_cast<uint32_t>(end)}, is_match});
  };
  size_t covered = 0;
  size_t from = 0;
  bool any = false;
  while (from <= text.size()) {
    const int found =
        pcre2_match(code_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from,
                    PCRE2_NO_UTF_CHECK, state.data.get(), state.context.get());
    if (found == PCRE2_ERROR_NOMATCH) break;
    DSRASQ_CHECK(found >= 0, kBadInput, kInRegex,
                 "the pattern gives up on this text: ", reason_of(found));
    const size_t* where = pcre2_get_ovector_pointer(state.data.get());
    const size_t begin = std::max(where[0], covered);  // \K may move it back
    const size_t end = std::max(where[1], begin);
    const bool repeats = begin == end && any && end == covered;
    if (!repeats) {
      if (begin > covered) emit(covered, begin, false);
      emit(begin, end, true);
      covered = end;
      any = true;
    }
    from = end > from ? end : from;
    if (repeats) from += from < text.size() ? read_code_point(text, from).length : 1;
  }
  if (covered < text.size()) emit(covered, text.size(), false);
}

void find_all_literal(std::string_view literal, std::string_view text, uint32_t offset,
                      std::vector<Match>& out) {
  const auto emit = [&](size_t begin, size_t end, bool is_match) {
    out.push_back(
        {{offset + static_cast<uint32_t>(begin), offset + static_cast<uint32_t>(end)}, is_match});
  };
  size_t covered = 0;
  while (!literal.empty()) {
    const size_t begin = text.find(literal, covered);
    if (begin == std::string_view::npos) break;
    if (begin > covered) emit(covered, begin, false);
    covered = begin + literal.size();
    emit(begin, covered, true);
  }
  if (covered < text.size()) emit(covered, text.size(), false);
}

}  // namespace dsrasq::text
