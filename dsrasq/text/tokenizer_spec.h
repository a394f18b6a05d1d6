#pragma once

// What a file says about its tokenizer, whatever kind of file it is.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dsrasq/text/added_tokens.h"
#include "dsrasq/text/bpe.h"
#include "dsrasq/text/decoder.h"
#include "dsrasq/text/normalizer.h"
#include "dsrasq/text/pre_tokenizer.h"

namespace dsrasq::formats {
class GgufFile;
}

namespace dsrasq::text {

struct TokenizerSpec {
  Bpe bpe;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  std::vector<AddedToken> added_tokens;
  Decoder decoder;
  std::optional<int32_t> bos, eos;
  bool adds_bos = false;
  std::vector<int32_t> more_ends;  ///< ids beside eos that end a text
  std::string chat_template;
  std::string description;  ///< of the normaliser and pre-tokeniser, for the fingerprint
};

/// The files of a Hugging Face folder, by content; all but the first may be empty.
struct TokenizerFiles {
  std::string tokenizer_json, tokenizer_config, generation_config, chat_template;
  std::string name;  ///< of the folder or file, for messages
};

/// Throws kBadInput naming the file and the field.
TokenizerSpec spec_from_json(const TokenizerFiles& files);
TokenizerSpec spec_from_gguf(const formats::GgufFile& file);

/// Gives every byte its token, by its letter or as <0xNN>, as the vocabulary has them.
void find_byte_tokens(Bpe& bpe);

}  // namespace dsrasq::text
