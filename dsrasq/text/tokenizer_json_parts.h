#pragma once

// The parts of a tokenizer.json that are small trees: normaliser, pre-tokeniser, decoder.

#include "dsrasq/text/json_view.h"
#include "dsrasq/text/tokenizer_spec.h"

namespace dsrasq::text {

/// Each throws kBadInput, naming file and field, for a type that is not known here.
Normalizer read_normalizer(const JsonView& view);
/// `has_byte_level`: whether the words end in the byte alphabet.
PreTokenizer read_pre_tokenizer(const JsonView& view, bool& has_byte_level);
Decoder read_decoder(const JsonView& view);

}  // namespace dsrasq::text
