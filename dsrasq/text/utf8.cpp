#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

// Length of the sequence that `first` begins and the range of its second byte (Unicode, table 3-7).
struct Lead {
  uint32_t length;
  unsigned char low, high;
};

Lead lead_of(unsigned char first) {
  if (first < 0xC2) return {1, 0, 0};
  if (first < 0xE0) return {2, 0x80, 0xBF};
  if (first == 0xE0) return {3, 0xA0, 0xBF};
  if (first == 0xED) return {3, 0x80, 0x9F};
  if (first < 0xF0) return {3, 0x80, 0xBF};
  if (first == 0xF0) return {4, 0x90, 0xBF};
  if (first < 0xF4) return {4, 0x80, 0xBF};
  if (first == 0xF4) return {4, 0x80, 0x8F};
  return {1, 0, 0};
}

}  // namespace

CodePoint read_multibyte(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[at + i]); };
  Lead lead = lead_of(byte(0));
  if (lead.length == 1) return {kReplacement, 1, false, false};
  char32_t value = byte(0) & (0x7Fu >> lead.length);
  for (uint32_t i = 1; i < lead.length; ++i) {
    if (at + i >= text.size()) return {kReplacement, i, false, true};
    if (byte(i) < lead.low || byte(i) > lead.high) return {kReplacement, i, false, false};
    value = value << 6 | (byte(i) & 0x3Fu);
    lead.low = 0x80;
    lead.high = 0xBF;
  }
  return {value, lead.length, true, false};
}

CodePoint read_code_point_before(std::string_view text, size_t at) {
  for (size_t length = 1; length <= 4 && length <= at; ++length) {
    const CodePoint found = read_code_point(text.substr(0, at), at - length);
    if (found.is_valid && found.length == length) return found;
  }
  return {kReplacement, 1, false, false};
}

void append_utf8(std::string& out, char32_t value) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (value < 0x80) {
    put(value);
  } else if (value < 0x800) {
    put(0xC0 | value >> 6);
    put(0x80 | (value & 0x3F));
  } else if (value < 0x10000) {
    put(0xE0 | value >> 12);
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  } else {
    put(0xF0 | value >> 18);
    put(0x80 | (value >> 12 & 0x3F));
    put(0x80 | (value >> 6 & 0x3F));
    put(0x80 | (value & 0x3F));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    const CodePoint found = read_code_point(text, at);
    if (!found.is_valid) return false;
    at += found.length;
  }
  return true;
}

size_t append_repaired(std::string& out, std::string_view bytes, bool hold_tail) {
  size_t at = 0;
  while (at < bytes.size()) {
    const CodePoint found = read_code_point(bytes, at);
    if (found.is_cut_off && hold_tail) break;
    out += found.is_valid ? bytes.substr(at, found.length) : kReplacementUtf8;
    at += found.length;
  }
  return at;
}

}  // namespace dsrasq::text
