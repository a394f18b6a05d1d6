#include "dsrasq/text/unicode_form.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

// No code point at or above has a decomposition or combines.
constexpr char32_t kFormTableEnd = 0x2FA20;
constexpr int kMaxDecomposition = 32;  // the longest, U+FDFA, has 18

enum Flag : uint8_t {
  kChanges = 1,  // in this form even when it stands alone
  kJoins = 2,    // may combine or change places with what stands before
};

bool composes(UnicodeForm form) { return form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc; }

utf8proc_option_t decompose_options(UnicodeForm form) {
  const bool compat = form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd;
  return static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                        (compat ? UTF8PROC_COMPAT : 0));
}

int combining_class(utf8proc_int32_t value) {
  return utf8proc_get_property(value)->combining_class;
}

void append_decomposition(char32_t value, utf8proc_option_t options,
                          std::vector<utf8proc_int32_t>& out) {
  std::array<utf8proc_int32_t, kMaxDecomposition> parts;
  const auto n = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(value), parts.data(),
                                         parts.size(), options, nullptr);
  if (n > 0) out.insert(out.end(), parts.begin(), parts.begin() + n);
}

// Puts marks in their canonical order and composes.
void finish(UnicodeForm form, std::vector<utf8proc_int32_t>& points) {
  for (auto at = points.begin(); at != points.end();) {
    at = std::find_if(at, points.end(), [](auto point) { return combining_class(point) != 0; });
    const auto end =
        std::find_if(at, points.end(), [](auto point) { return combining_class(point) == 0; });
    std::stable_sort(at, end,
                     [](auto a, auto b) { return combining_class(a) < combining_class(b); });
    at = end;
  }
  if (!composes(form)) return;
  const auto n =
      utf8proc_normalize_utf32(points.data(), static_cast<utf8proc_ssize_t>(points.size()),
                               static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  points.resize(static_cast<size_t>(std::max<utf8proc_ssize_t>(n, 0)));
}

std::vector<uint8_t> make_flags(UnicodeForm form) {
  std::vector<uint8_t> flags(kFormTableEnd, 0);
  std::vector<utf8proc_int32_t> parts;
  for (char32_t value = 0; value < kFormTableEnd; ++value) {
    parts.clear();
    append_decomposition(value, decompose_options(UnicodeForm::kNfd), parts);
    for (size_t i = 1; i < parts.size(); ++i) flags[static_cast<size_t>(parts[i])] |= kJoins;
  }
  for (char32_t value = 0; value < kFormTableEnd; ++value) {
    parts.clear();
    append_decomposition(value, decompose_options(form), parts);
    if (parts.empty()) continue;
    const auto first = static_cast<size_t>(parts[0]);
    if (combining_class(parts[0]) != 0 || (first < kFormTableEnd && (flags[first] & kJoins) != 0))
      flags[value] |= kJoins;
    finish(form, parts);
    if (parts.size() != 1 || parts[0] != static_cast<utf8proc_int32_t>(value))
      flags[value] |= kChanges;
  }
  return flags;
}

const std::vector<uint8_t>& flags_of(UnicodeForm form) {
  static const std::vector<uint8_t> nfc = make_flags(UnicodeForm::kNfc);
  if (form == UnicodeForm::kNfc) return nfc;
  static const std::vector<uint8_t> nfd = make_flags(UnicodeForm::kNfd);
  static const std::vector<uint8_t> nfkc = make_flags(UnicodeForm::kNfkc);
  static const std::vector<uint8_t> nfkd = make_flags(UnicodeForm::kNfkd);
  return form == UnicodeForm::kNfd ? nfd : form == UnicodeForm::kNfkc ? nfkc : nfkd;
}

// A code point with those behind it that join it; `flags` of all of them together.
struct Cluster {
  uint32_t end;
  uint8_t flags;
};

Cluster read_cluster(const std::vector<uint8_t>& flags, std::string_view text, uint32_t at) {
  Cluster cluster{at, 0};
  while (cluster.end < text.size()) {
    const CodePoint point = read_code_point(text, cluster.end);
    const uint8_t found = point.value < kFormTableEnd ? flags[point.value] : 0;
    if (cluster.end != at && (found & kJoins) == 0) break;
    cluster.flags |= found;
    cluster.end += point.length;
  }
  return cluster;
}

std::string normalized(UnicodeForm form, std::string_view text) {
  std::vector<utf8proc_int32_t> points;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    append_decomposition(point.value, decompose_options(form), points);
    at += point.length;
  }
  finish(form, points);
  std::string out;
  for (const utf8proc_int32_t point : points) append_utf8(out, static_cast<char32_t>(point));
  return out;
}

}  // namespace

void apply_unicode_form(UnicodeForm form, AlignedText& text) {
  const std::vector<uint8_t>& flags = flags_of(form);
  const std::string_view all = text.text();
  uint32_t kept = 0;
  for (uint32_t at = 0; at < all.size();) {
    const Cluster cluster = read_cluster(flags, all, at);
    if (cluster.flags != 0) {
      const std::string replaced = normalized(form, all.substr(at, cluster.end - at));
      if (replaced != all.substr(at, cluster.end - at)) {
        text.keep({kept, at});
        text.put(replaced, {at, cluster.end});
        kept = cluster.end;
      }
    }
    at = cluster.end;
  }
  if (kept == 0) return;
  text.keep({kept, text.size()});
  text.finish_edit();
}

}  // namespace dsrasq::text
