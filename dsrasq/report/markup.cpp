#include "dsrasq/report/markup.h"

#include <cmath>
#include <cstdio>

#include "dsrasq/core/error.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::report {
namespace {

constexpr std::string_view kEllipsis = "\xE2\x80\xA6";

bool is_allowed(char32_t c) {
  if (c == '\t' || c == '\n') return true;
  return c >= 0x20 && c != 0x7F && c != 0xFFFE && c != 0xFFFF;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::read_code_point(text, at);
    switch (point.value) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: text::append_utf8(out, is_allowed(point.value) ? point.value : text::kReplacement);
    }
    at += point.length;
  }
  return out;
}

std::string shortened(std::string_view text, size_t most) {
  size_t n = 0, cut = 0;
  for (size_t at = 0; at < text.size(); at += text::read_code_point(text, at).length) {
    if (++n == most) cut = at;
    if (n > most) return std::string(text.substr(0, cut)).append(kEllipsis);
  }
  return std::string(text);
}

double text_width(std::string_view text, double font_px) {
  double width = 0;  // in units of the font's size
  for (size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::read_code_point(text, at);
    const char32_t c = point.value;
    if (c > 0x2E80)
      width += 1;
    else if (c < 0x80 && std::string_view("iljtfr.,:;|!'()[] ").find(static_cast<char>(c)) !=
                             std::string_view::npos)
      width += 0.36;
    else
      width += c == 'm' || c == 'w' || (c >= 'A' && c <= 'Z') ? 0.78 : 0.62;
    at += point.length;
  }
  return width * font_px;
}

std::string px(double value) {
  DSRASQ_CHECK(std::isfinite(value), kInternal, "report.markup", "a length is ", value);
  char text[40];
  std::snprintf(text, sizeof text, "%.2f", value);
  std::string out = text;
  out.erase(out.find_last_not_of('0') + 1);
  if (out.back() == '.') out.pop_back();
  return out == "-0" ? "0" : out;
}

void Markup::tag(std::string_view name, const Attributes& attributes, std::string_view end) {
  out_.append("<").append(name);
  for (const auto& [key, value] : attributes)
    out_.append(" ").append(key).append("=\"").append(escape(value)).append("\"");
  out_ += end;
}

void Markup::open(std::string_view name, const Attributes& attributes) {
  tag(name, attributes, ">");
  open_.emplace_back(name);
}

void Markup::close() {
  DSRASQ_CHECK(!open_.empty(), kInternal, "report.markup", "no element is open");
  out_.append("</").append(open_.back()).append(">\n");
  open_.pop_back();
}

void Markup::element(std::string_view name, const Attributes& attributes, std::string_view text) {
  open(name, attributes);
  this->text(text);
  close();
}

void Markup::leaf(std::string_view name, const Attributes& attributes) {
  tag(name, attributes, "/>\n");
}

std::string Markup::take() {
  DSRASQ_CHECK(open_.empty(), kInternal, "report.markup", "<", open_.back(), "> is not closed");
  return std::move(out_);
}

}  // namespace dsrasq::report
