#pragma once

// Numbers as people read them.

#include <cstdint>
#include <string>

namespace dsrasq::report {

/// 98292 as "98,292".
std::string grouped(int64_t value);
/// With that many decimals and commas between thousands: "1,234.50".
std::string fixed(double value, int decimals);
/// The same with a plus before what is above zero.
std::string with_sign(double value, int decimals);
/// Three significant digits, without trailing zeros: "0.00123", "27.6", "98,300".
std::string rounded(double value);
/// "284.1 MiB"; below a MiB in KiB.
std::string bytes_text(double bytes);

}  // namespace dsrasq::report
