#pragma once

// ROUGE-L as LongBench reports it, which is `rouge-l` of PyPI `rouge` 1.0.1: sentences end at every
// full stop, words at white space, and each different word counts once.

#include <span>
#include <string>
#include <string_view>

namespace dsrasq::metrics {

/// The F-measure of the best reference. 0 where either text has nothing but full stops. Unlike the
/// package, which fails and so scores 0 there, it has no limit of about 1,000 words a sentence.
/// Throws kResourceExhausted for sentences too long to compare (lcs_places).
double rouge_longbench(std::string_view prediction, std::span<const std::string> references);

}  // namespace dsrasq::metrics
