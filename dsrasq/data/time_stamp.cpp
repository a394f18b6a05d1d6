#include "dsrasq/data/time_stamp.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>

namespace dsrasq::data {
namespace {

using View = std::string_view;
constexpr int64_t kSecondMs = 1000, kMinuteMs = 60 * kSecondMs, kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;

struct Clock {
  int hour = 0, minute = 0, second = 0;
};

std::optional<int64_t> day_ms(int year, unsigned month, unsigned day) {
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count() * kDayMs;
}

std::optional<int64_t> clock_ms(const Clock& clock) {
  if (clock.hour > 23 || clock.minute > 59 || clock.second > 59) return std::nullopt;
  return clock.hour * kHourMs + clock.minute * kMinuteMs + clock.second * kSecondMs;
}

// Takes a whole number without a sign from the front.
template <class Number>
bool take_number(View& text, Number& number) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return error == std::errc();
}

bool take(View& text, View what) {
  if (!text.starts_with(what)) return false;
  text.remove_prefix(what.size());
  return true;
}

void skip_spaces(View& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

// 0 when it is no month.
unsigned take_month(View& text) {
  constexpr std::array<View, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                         "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
  for (unsigned i = 0; i < kMonths.size(); ++i)
    if (take(text, kMonths[i])) return i + 1;
  return 0;
}

// ".79" and ".7" are 790 and 700 ms.
int64_t take_fraction_ms(View& text) {
  int64_t ms = 0, unit = 100;
  if (!take(text, ".")) return 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; unit /= 10) {
    ms += (text.front() - '0') * unit;
    text.remove_prefix(1);
  }
  return ms;
}

std::optional<int64_t> news_clock_ms(View text) {
  Clock clock;
  const bool is_clock = take_number(text, clock.hour) && take(text, ":") &&
                        take_number(text, clock.minute) && take(text, ":") &&
                        take_number(text, clock.second);
  const auto ms = is_clock ? clock_ms(clock) : std::nullopt;
  return ms ? std::optional(*ms + take_fraction_ms(text)) : std::nullopt;
}

}  // namespace

std::optional<TimeStamp> parse_news_time(View text) {
  unsigned day = 0, month = 0;
  int year = 0;
  skip_spaces(text);
  const bool is_date = take_number(text, day) && take(text, "-") &&
                       (month = take_month(text)) != 0 && take(text, "-") &&
                       take_number(text, year);
  const auto begin = is_date ? day_ms(year, month, day) : std::nullopt;
  if (!begin) return std::nullopt;
  skip_spaces(text);
  const auto clock = news_clock_ms(text);
  return TimeStamp{*begin + clock.value_or(0), clock.has_value()};
}

std::optional<TimeStamp> parse_digits_time(View text) {
  const bool is_time = text.size() == 14 && std::all_of(text.begin(), text.end(), [](char c) {
                         return c >= '0' && c <= '9';
                       });
  if (!is_time) return std::nullopt;
  const auto number = [&](size_t at, size_t size) {
    int value = 0;
    std::from_chars(text.data() + at, text.data() + at + size, value);
    return value;
  };
  const auto day = day_ms(number(0, 4), static_cast<unsigned>(number(4, 2)),
                          static_cast<unsigned>(number(6, 2)));
  const auto clock = clock_ms({number(8, 2), number(10, 2), number(12, 2)});
  if (!day || !clock) return std::nullopt;
  return TimeStamp{*day + *clock};
}

std::string iso_time(int64_t ms) {
  using namespace std::chrono;
  const sys_time<milliseconds> time{milliseconds(ms)};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const int64_t rest = (time - day).count();
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(rest / kHourMs),
                static_cast<int>(rest / kMinuteMs % 60), static_cast<int>(rest / kSecondMs % 60),
                static_cast<int>(rest % kSecondMs));
  return text;
}

}  // namespace dsrasq::data
