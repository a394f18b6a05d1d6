#pragma once

// Porter's suffix stripping (Porter 1980, Program 14.3) with the changes that NLTK's PorterStemmer
// makes by default: that is what `rouge-score` stems with.

#include <string>
#include <string_view>

namespace dsrasq::metrics {

/// The stem of a word in lower case, a-z and 0-9. Words of one or two letters are their own stems.
std::string porter_stem(std::string_view word);

}  // namespace dsrasq::metrics
