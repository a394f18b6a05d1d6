#pragma once

// The report: one HTML file that needs nothing else.

#include <string>
#include <vector>

#include "dsrasq/report/figure.h"

namespace dsrasq::report {

/// A page with every figure, the table behind each, and the commands that made the results. It is
/// HTML and can be read as XML; it has no script and loads nothing.
std::string html_page(const std::string& title, const std::vector<ResultFile>& files,
                      const std::vector<Section>& sections);

}  // namespace dsrasq::report
