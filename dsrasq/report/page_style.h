#pragma once

#include <string_view>

namespace dsrasq::report {

/// CSS of the page around the plots: light and dark, narrow and wide, screen and paper.
std::string_view page_style();

}  // namespace dsrasq::report
