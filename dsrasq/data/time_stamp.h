#pragma once

// Points in time as corpora write them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dsrasq::data {

/// A point in time. Corpora that name no time zone are taken to mean one and the same.
struct TimeStamp {
  int64_t ms = 0;        ///< since 1970-01-01 00:00
  bool is_whole = true;  ///< false where only the day could be read
};

/// "26-FEB-1987 15:01:01.79", as Reuters-21578 has it: white space around it, one digit for the
/// day and text behind it do not matter. Nothing when there is no day; of a clock that cannot be,
/// the day alone counts.
std::optional<TimeStamp> parse_news_time(std::string_view text);

/// "20150218230000" (GDELT). Nothing unless it is 14 digits that name a time.
std::optional<TimeStamp> parse_digits_time(std::string_view text);

/// "1987-02-26T15:01:01.790".
std::string iso_time(int64_t ms);

}  // namespace dsrasq::data
