#pragma once

// Stretches of tokens to score: where in which text they lie.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dsrasq/text/tokenizer.h"

namespace dsrasq::eval {

/// N tokens in a row of one text, after the model's begin-of-text token where it has one.
struct Stretch {
  std::string source;  ///< name of the text
  int64_t first = 0;   ///< number of its first token in the text
  std::vector<int32_t> ids;
};

/// Where `n_samples` stretches of `length` tokens begin in texts of these numbers of tokens: one in
/// each text from its middle third on (at a third of its tokens, when two thirds are longer than
/// `length`); where there are fewer such texts than samples, evenly spaced in those long enough.
/// Returns pairs of text and first token. Throws kInvalidArgument saying how many would fit without
/// overlapping.
std::vector<std::pair<size_t, int64_t>> place_stretches(const std::vector<int64_t>& text_tokens,
                                                        int64_t length, int64_t n_samples);

/// Reads texts (.txt, .md, .jsonl, .xz; see data::DocumentReader) and cuts stretches of them.
std::vector<Stretch> read_stretches(const std::vector<std::string>& files,
                                    const text::Tokenizer& tokenizer, int64_t length,
                                    int64_t n_samples);

}  // namespace dsrasq::eval
