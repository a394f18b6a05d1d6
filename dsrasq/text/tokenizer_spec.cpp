#include "dsrasq/text/tokenizer_spec.h"

#include "dsrasq/text/byte_alphabet.h"

namespace dsrasq::text {

void find_byte_tokens(Bpe& bpe) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (size_t byte = 0; byte < bpe.byte_ids.size(); ++byte) {
    const std::string fallback = {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    bpe.byte_ids[byte] =
        bpe.vocab.find(bpe.is_byte_level ? byte_letter(static_cast<uint8_t>(byte)) : fallback);
  }
}

}  // namespace dsrasq::text
