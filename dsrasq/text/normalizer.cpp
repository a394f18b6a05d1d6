#include "dsrasq/text/normalizer.h"

#include <utf8proc.h>

#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

void replace_matches(const std::vector<Match>& matches, std::string_view to, AlignedText& text) {
  bool any = false;
  for (const Match& match : matches) any = any || match.is_match;
  if (!any) return;
  for (const Match& match : matches) {
    if (match.is_match) {
      text.put(to, match.range);
    } else {
      text.keep(match.range);
    }
  }
  text.finish_edit();
}

void lowercase(AlignedText& text) {
  constexpr char32_t kDottedCapitalI = 0x130;  // the one whose lower case is two code points
  const std::string_view all = text.text();
  uint32_t kept = 0;
  for (uint32_t at = 0; at < all.size();) {
    const CodePoint point = read_code_point(all, at);
    const auto lower =
        static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point.value)));
    if (lower != point.value || point.value == kDottedCapitalI) {
      std::string out;
      append_utf8(out, point.value == kDottedCapitalI ? U'i' : lower);
      if (point.value == kDottedCapitalI) append_utf8(out, 0x307);
      text.keep({kept, at});
      text.put(out, {at, at + point.length});
      kept = at + point.length;
    }
    at += point.length;
  }
  if (kept == 0) return;
  text.keep({kept, text.size()});
  text.finish_edit();
}

struct ApplyNormalizerStep {
  AlignedText& text;
  bool continues;

  void operator()(UnicodeForm form) const { apply_unicode_form(form, text); }
  void operator()(const ReplaceLiteral& step) const {
    std::vector<Match> matches;
    find_all_literal(step.from, text.text(), 0, matches);
    replace_matches(matches, step.to, text);
  }
  void operator()(const ReplaceRegex& step) const {
    std::vector<Match> matches;
    step.from.find_all(text.text(), 0, matches);
    replace_matches(matches, step.to, text);
  }
  void operator()(const Prepend& step) const {
    if (continues || text.text().empty()) return;
    text.put(step.text, {0, 0});
    text.keep({0, text.size()});
    text.finish_edit();
  }
  void operator()(const Lowercase&) const { lowercase(text); }
};

}  // namespace

void Normalizer::apply(AlignedText& text, bool continues) const {
  for (const NormalizerStep& step : steps) std::visit(ApplyNormalizerStep{text, continues}, step);
}

std::string Normalizer::apply(std::string_view text) const {
  AlignedText aligned;
  aligned.assign(text);
  apply(aligned, false);
  return std::string(aligned.text());
}

}  // namespace dsrasq::text
