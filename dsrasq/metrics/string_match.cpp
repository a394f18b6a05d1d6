#include "dsrasq/metrics/string_match.h"

#include <algorithm>

#include "dsrasq/metrics/python_text.h"
#include "dsrasq/text/jinja_strings.h"

namespace dsrasq::metrics {
namespace {

std::string cleaned(std::string_view prediction) {
  std::string text = repaired(prediction);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c >= 0 && c < ' '; }, '\n');
  return lower(strip(text));
}

bool contains(std::string_view lowered, std::string_view reference) {
  return text::jinja::find_text(lowered, lower(reference), 0) != std::string_view::npos;
}

}  // namespace

double string_match_all(std::string_view prediction, std::span<const std::string> references) {
  if (references.empty()) return 0;
  const std::string text = cleaned(prediction);
  const auto n_found =
      std::count_if(references.begin(), references.end(),
                    [&](const std::string& reference) { return contains(text, reference); });
  return static_cast<double>(n_found) / static_cast<double>(references.size());
}

bool string_match_part(std::string_view prediction, std::span<const std::string> references) {
  const std::string text = cleaned(prediction);
  return std::any_of(references.begin(), references.end(),
                     [&](const std::string& reference) { return contains(text, reference); });
}

}  // namespace dsrasq::metrics
