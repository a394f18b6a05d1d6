// Any bytes as a tokenizer.json: refused in one sentence, or a tokenizer that encodes and decodes.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/text/tokenizer.h"
#include "dsrasq/text/tokenizer_spec.h"
#include "dsrasq/text/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dsrasq::text;
  TokenizerFiles files;
  files.tokenizer_json.assign(reinterpret_cast<const char*>(data), size);
  files.name = "fuzz.json";
  const std::string text =
      "It's 12345 ab  ba\n\n caf\xC3\xA9 e\xCC\x81 \xFF <s> \xF0\x9F\x98\x80\xE2\x96\x81<0x41>";
  try {
    const Tokenizer tokenizer(spec_from_json(files));
    const auto tokens =
        tokenizer.encode_with_offsets(text, {.add_bos = true, .parse_special = true});
    std::vector<int32_t> ids;
    for (const TokenSpan& token : tokens) {
      if (token.begin > token.end || token.end > text.size()) std::abort();
      ids.push_back(token.id);
    }
    if (!is_valid_utf8(tokenizer.decode(ids, false))) std::abort();
  } catch (const dsrasq::Error& e) {
    if (e.code() != dsrasq::ErrorCode::kBadInput) std::abort();
  }
  return 0;
}
