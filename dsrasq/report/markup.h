#pragma once

// Elements of HTML and SVG as text. Everything that is written can be read as XML too.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dsrasq::report {

/// A text as it may stand between tags and in attributes: the five characters that mean something
/// are replaced, bytes that are not UTF-8 and what XML forbids become U+FFFD.
std::string escape(std::string_view text);

/// At most `most` characters, the last of them an ellipsis where something was left out.
std::string shortened(std::string_view text, size_t most);

/// About how wide a text is in a sans-serif font of `font_px`, in px.
double text_width(std::string_view text, double font_px);

/// A length for attributes: two decimals at most.
std::string px(double value);

using Attributes = std::vector<std::pair<std::string_view, std::string>>;

/// Writes one element after another; what is opened must be closed, last first.
class Markup {
 public:
  void open(std::string_view name, const Attributes& attributes = {});
  void close();
  /// An element with a text, which is escaped.
  void element(std::string_view name, const Attributes& attributes, std::string_view text);
  /// An element that never has content: `<line .../>`, `<meta .../>`.
  void leaf(std::string_view name, const Attributes& attributes);
  void text(std::string_view text) { out_ += escape(text); }
  /// Markup made elsewhere.
  void raw(std::string_view markup) { out_ += markup; }

  /// All that was written. Throws kInternal when an element is still open.
  std::string take();

 private:
  void tag(std::string_view name, const Attributes& attributes, std::string_view end);

  std::string out_;
  std::vector<std::string> open_;
};

}  // namespace dsrasq::report
