#include "dsrasq/report/number_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace dsrasq::report {

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  const int first = value < 0 ? 1 : 0;
  for (int at = static_cast<int>(digits.size()) - 3; at > first; at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string fixed(double value, int decimals) {
  if (!std::isfinite(value) || std::abs(value) > 1e15) return std::to_string(value);
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  const std::string all = text;
  const size_t point = std::min(all.find('.'), all.size());
  const std::string whole = grouped(std::stoll(all.substr(0, point)));
  const bool lost_sign = all[0] == '-' && whole[0] != '-';  // -0.5
  const bool is_zero = all.find_first_not_of("-0.") == std::string::npos;
  return (lost_sign && !is_zero ? "-" : "") + whole + all.substr(point);
}

std::string with_sign(double value, int decimals) {
  const std::string text = fixed(value, decimals);
  const bool is_zero = text.find_first_not_of("0.") == std::string::npos;
  return value > 0 && !is_zero ? "+" + text : text;
}

std::string rounded(double value) {
  if (value == 0 || !std::isfinite(value)) return value == 0 ? "0" : std::to_string(value);
  const int exponent = static_cast<int>(std::floor(std::log10(std::abs(value))));
  if (exponent >= 3) {
    const double unit = std::pow(10.0, exponent - 2);
    return fixed(std::round(value / unit) * unit, 0);
  }
  std::string text = fixed(value, std::min(2 - exponent, 12));
  if (text.find('.') == std::string::npos) return text;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string bytes_text(double bytes) {
  constexpr double kMiB = 1 << 20;
  return bytes < kMiB ? fixed(bytes / 1024, 1) + " KiB" : fixed(bytes / kMiB, 1) + " MiB";
}

}  // namespace dsrasq::report
