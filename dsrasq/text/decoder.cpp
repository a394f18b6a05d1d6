#include "dsrasq/text/decoder.h"

#include "dsrasq/text/byte_alphabet.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

std::string replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  size_t at = 0;
  while (!from.empty()) {
    const size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  out += text.substr(at);
  return out;
}

// Takes at most `n` code points `content` off the front, and lowers `n` to what may still follow.
std::string_view strip_front(std::string_view text, char32_t content, size_t& n) {
  while (n > 0 && !text.empty()) {
    const CodePoint point = read_code_point(text, 0);
    if (point.value != content) {
      n = 0;
      break;
    }
    text.remove_prefix(point.length);
    --n;
  }
  return text;
}

struct ApplyDecoderStep {
  std::string& text;
  bool is_first;

  void operator()(const DecodeReplace& step) const { text = replaced(text, step.from, step.to); }
  void operator()(const DecodeStrip& step) const {
    size_t n = step.start;
    text = std::string(strip_front(text, step.content, n));
  }
  void operator()(const DecodeMetaspace& step) const {
    text = replaced(text, step.replacement, is_first && step.drops_first ? "" : " ");
  }
};

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

}  // namespace

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const int high = hex_digit(token[3]);
  const int low = hex_digit(token[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

std::string Decoder::bytes_of(std::string_view token, bool is_first) const {
  std::string out;
  switch (kind) {
    case Kind::kSpaced: return is_first ? std::string(token) : " " + std::string(token);
    case Kind::kByteLevel: append_bytes(out, token); return out;
    case Kind::kPieces: break;
  }
  if (const auto byte = byte_of_token(token); byte && joins_byte_tokens) return {*byte};
  out = token;
  for (const auto& step : token_steps) std::visit(ApplyDecoderStep{out, is_first}, step);
  return out;
}

std::string DecodeState::push(std::string_view token) {
  const std::string bytes = decoder_.bytes_of(token, is_first_);
  is_first_ = false;
  if (decoder_.kind == Decoder::Kind::kByteLevel) {
    held_ += bytes;
    std::string out;
    held_.erase(0, append_repaired(out, held_, true));
    return out;
  }
  if (decoder_.joins_byte_tokens && byte_of_token(token)) {
    held_ += bytes;
    return {};
  }
  return stripped(take_byte_tokens() + bytes);
}

std::string DecodeState::finish() {
  if (decoder_.kind != Decoder::Kind::kByteLevel) return stripped(take_byte_tokens());
  std::string out;
  append_repaired(out, held_, false);
  held_.clear();
  return out;
}

std::string DecodeState::take_byte_tokens() {
  std::string run;
  run.swap(held_);
  if (is_valid_utf8(run)) return run;
  std::string out;
  for (size_t i = 0; i < run.size(); ++i) out += kReplacementUtf8;
  return out;
}

std::string DecodeState::stripped(std::string text) {
  if (strip_left_ == 0) return text;
  return std::string(strip_front(text, decoder_.strip_text->content, strip_left_));
}

}  // namespace dsrasq::text
