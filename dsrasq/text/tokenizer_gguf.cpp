// Reads the tokenizer of a GGUF file: tokenizer.ggml.* (docs/gguf.md of ggml).

#include <algorithm>
#include <numeric>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/gguf.h"
#include "dsrasq/text/space_cutter.h"
#include "dsrasq/text/split_pattern.h"
#include "dsrasq/text/tokenizer_spec.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

constexpr const char* kInTokenizerGguf = "text.tokenizer";

// tokenizer.ggml.token_type
constexpr int32_t kNormal = 1;
constexpr int32_t kControl = 3;
constexpr int32_t kUserDefined = 4;

// A longer token is never put together from parts, so that a hostile one costs no quadratic time.
constexpr size_t kMaxMergedBytes = 512;

constexpr std::string_view kTekkenPattern =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// What tokenizer.ggml.pre says about a byte-level vocabulary.
struct PreName {
  std::string_view name;
  std::string_view pattern;
  bool splits_digits = false;
  bool composes = false;  // NFC first
  bool ignores_merges = false;
  bool adds_bos = false;
};
constexpr PreName kPreNames[] = {
    {"", kGpt2Pattern},
    {"default", kGpt2Pattern},
    {"gpt-2", kGpt2Pattern},
    {"phi-2", kGpt2Pattern},
    {"mpt", kGpt2Pattern},
    {"olmo", kGpt2Pattern},
    {"smollm", kGpt2Pattern, true},
    {"starcoder", kGpt2Pattern, true},
    {"refact", kGpt2Pattern, true},
    {"codeshell", kGpt2Pattern, true},
    {"llama3", kLlama3Pattern, false, false, true, true},
    {"llama-v3", kLlama3Pattern, false, false, true, true},
    {"llama-bpe", kLlama3Pattern, false, false, true, true},
    {"smaug-bpe", kLlama3Pattern},
    {"dbrx", kLlama3Pattern},
    {"qwen2", kQwen2Pattern, false, true},
    {"deepseek-r1-qwen", kQwen2Pattern, false, true},
    {"tekken", kTekkenPattern, false, false, true, true},
};

class Reader {
 public:
  explicit Reader(const formats::GgufFile& file)
      : file_(file),
        tokens_(file.strings("tokenizer.ggml.tokens")),
        types_(file.ints("tokenizer.ggml.token_type")) {
    check(!tokens_.empty(), "has no tokenizer.ggml.tokens");
    check(tokens_.size() < kMaxTokenIds, "has too many tokenizer.ggml.tokens: ", tokens_.size());
    check(types_.empty() || types_.size() == tokens_.size(), "has ", types_.size(),
          " tokenizer.ggml.token_type for ", tokens_.size(), " tokens");
  }

  TokenizerSpec read() {
    const std::string_view model = file_.find_string("tokenizer.ggml.model").value_or("");
    if (model == "gpt2") {
      read_byte_level();
    } else if (model == "llama") {
      read_sentence_piece();
    } else {
      check(false, "has the tokenizer.ggml.model \"", model, "\", which is not supported");
    }
    spec_.bos = find_id("tokenizer.ggml.bos_token_id");
    spec_.eos = find_id("tokenizer.ggml.eos_token_id");
    for (const char* key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
      if (const auto id = find_id(key)) spec_.more_ends.push_back(*id);
    spec_.adds_bos = file_.find_bool("tokenizer.ggml.add_bos_token").value_or(spec_.adds_bos);
    spec_.chat_template = file_.find_string("tokenizer.chat_template").value_or("");
    return std::move(spec_);
  }

 private:
  template <class... Parts>
  void check(bool holds, const Parts&... parts) const {
    if (!holds)
      throw Error(ErrorCode::kBadInput, kInTokenizerGguf,
                  concat(file_.path().string(), ' ', parts...));
  }

  int32_t type_of(size_t id) const { return types_.empty() ? kNormal : types_[id]; }

  std::optional<int32_t> find_id(const char* key) const {
    const auto id = file_.find_uint(key);
    check(!id || *id < tokens_.size(), "has the ", key, ' ', id.value_or(0), " for ",
          tokens_.size(), " tokens");
    return id ? std::optional(static_cast<int32_t>(*id)) : std::nullopt;
  }

  // `in_vocab(text)`: how the model's vocabulary writes a user-defined token.
  template <class InVocab>
  void read_tokens(InVocab in_vocab) {
    spec_.bpe.vocab.reserve(tokens_.size());
    for (size_t id = 0; id < tokens_.size(); ++id) {
      const int32_t type = type_of(id);
      std::string text(tokens_[id]);
      check(is_valid_utf8(text), "has a tokenizer.ggml.tokens[", id, "] that is not UTF-8");
      if (type == kUserDefined) text = in_vocab(text);
      const bool is_new = spec_.bpe.vocab.add(text, static_cast<int32_t>(id));
      check(is_new, "has token ", id, " twice");
      if ((type != kControl && type != kUserDefined) || text.empty()) continue;
      check(text.size() <= kMaxAddedTokenBytes, "has a tokenizer.ggml.tokens[", id, "] of ",
            text.size(), " bytes, want at most ", kMaxAddedTokenBytes);
      AddedToken added;
      added.id = static_cast<int32_t>(id);
      added.content = std::move(text);
      added.is_special = type == kControl;
      spec_.added_tokens.push_back(std::move(added));
    }
  }

  void read_byte_level() {
    const std::string_view name = file_.find_string("tokenizer.ggml.pre").value_or("");
    const auto* pre = std::find_if(std::begin(kPreNames), std::end(kPreNames),
                                   [&](const PreName& known) { return known.name == name; });
    check(pre != std::end(kPreNames), "has the tokenizer.ggml.pre \"", name,
          "\", which is not supported");
    if (pre->composes) spec_.normalizer.steps.emplace_back(UnicodeForm::kNfc);
    if (pre->splits_digits) spec_.pre_tokenizer.steps.emplace_back(Split{NumericChars{}});
    spec_.pre_tokenizer.steps.emplace_back(Split{make_split_pattern(pre->pattern)});
    spec_.decoder.kind = Decoder::Kind::kByteLevel;
    spec_.adds_bos = pre->adds_bos;
    spec_.description = concat("gpt2 ", name);
    spec_.bpe.is_byte_level = true;
    spec_.bpe.ignores_merges = pre->ignores_merges;
    read_tokens([](const std::string& text) { return text; });
    read_merges();
    find_byte_tokens(spec_.bpe);
  }

  void read_merges() {
    const auto merges = file_.strings("tokenizer.ggml.merges");
    spec_.bpe.merges.reserve(merges.size());
    std::string joined;
    for (size_t i = 0; i < merges.size(); ++i) {
      // A token may begin with a space in files of old; none ends with one.
      const size_t space = merges[i].find(' ', 1);
      check(space != std::string_view::npos, "has a tokenizer.ggml.merges[", i,
            "] that is not two tokens with a space between them");
      const std::string_view left = merges[i].substr(0, space);
      const std::string_view right = merges[i].substr(space + 1);
      joined.assign(left).append(right);
      const auto id_of = [&](std::string_view token) {
        const int32_t id = spec_.bpe.vocab.find(token);
        check(id >= 0, "has a tokenizer.ggml.merges[", i, "] that needs \"", token,
              "\", which is no token");
        return id;
      };
      spec_.bpe.merges.set(id_of(left), id_of(right), {static_cast<uint32_t>(i), id_of(joined)});
    }
  }

  void read_sentence_piece() {
    const bool prefix = file_.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
    if (prefix) spec_.normalizer.steps.emplace_back(Prepend{std::string(kMetaSpace)});
    spec_.normalizer.steps.emplace_back(ReplaceLiteral{" ", std::string(kMetaSpace)});
    spec_.decoder.kind = Decoder::Kind::kPieces;
    spec_.decoder.token_steps.emplace_back(DecodeReplace{std::string(kMetaSpace), " "});
    spec_.decoder.joins_byte_tokens = true;
    if (prefix) spec_.decoder.strip_text = DecodeStrip{U' ', 1};
    spec_.adds_bos = true;
    spec_.description = concat("llama ", prefix);
    spec_.bpe.falls_back_to_bytes = true;
    spec_.bpe.fuses_unknown = true;
    // Converters write the spaces of user-defined tokens as spaces.
    read_tokens([&](const std::string& text) {
      Normalizer spaces;
      spaces.steps.emplace_back(ReplaceLiteral{" ", std::string(kMetaSpace)});
      return spaces.apply(text);
    });
    spec_.bpe.unknown_id = find_id("tokenizer.ggml.unknown_token_id").value_or(-1);
    derive_merges();
    find_byte_tokens(spec_.bpe);
  }

  struct DerivedMerge {
    float score;
    uint32_t left_chars, right_chars;
    int32_t left, right, id;
  };

  // SentencePiece stores no merges, only scores: every way to put a token together from two others
  // is a merge, the best score first, then the longer left part. This is what the Hugging Face
  // converters write into tokenizer.json. Only text may merge: neither control tokens nor bytes.
  void derive_merges() {
    const std::vector<float> scores = file_.floats("tokenizer.ggml.scores");
    check(scores.size() == tokens_.size(), "has ", scores.size(), " tokenizer.ggml.scores for ",
          tokens_.size(), " tokens");
    std::vector<DerivedMerge> merges;
    for (size_t id = 0; id < tokens_.size(); ++id) {
      if (!merges_to(id)) continue;
      // The converters of user-defined tokens lose their score, which SentencePiece sets to 0.
      const float score = type_of(id) == kUserDefined ? 0.0f : scores[id];
      check(score == score, "has a tokenizer.ggml.scores[", id, "] that is no number");
      append_merges(static_cast<int32_t>(id), score, merges);
    }
    std::stable_sort(merges.begin(), merges.end(),
                     [](const DerivedMerge& a, const DerivedMerge& b) {
                       if (a.score != b.score) return a.score > b.score;
                       if (a.left_chars != b.left_chars) return a.left_chars > b.left_chars;
                       return a.right_chars > b.right_chars;
                     });
    spec_.bpe.merges.reserve(merges.size());
    for (size_t rank = 0; rank < merges.size(); ++rank)
      spec_.bpe.merges.set(merges[rank].left, merges[rank].right,
                           {static_cast<uint32_t>(rank), merges[rank].id});
  }

  bool merges_to(size_t id) const { return type_of(id) == kNormal || type_of(id) == kUserDefined; }

  // Appends the merges that make token `id`, by the ids of their parts.
  void append_merges(int32_t id, float score, std::vector<DerivedMerge>& merges) const {
    const Vocab& vocab = spec_.bpe.vocab;
    const std::string_view text = vocab.text(id);
    const auto n_chars = static_cast<uint32_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    if (text.size() > kMaxMergedBytes) return;
    const size_t before = merges.size();
    uint32_t left_chars = 0;
    for (size_t at = 0; at < text.size();) {
      at += read_code_point(text, at).length;
      ++left_chars;
      if (at >= text.size()) break;
      const int32_t left = vocab.find(text.substr(0, at));
      if (left < 0 || !merges_to(static_cast<size_t>(left))) continue;
      const int32_t right = vocab.find(text.substr(at));
      if (right < 0 || !merges_to(static_cast<size_t>(right))) continue;
      merges.push_back({score, left_chars, n_chars - left_chars, left, right, id});
    }
    std::sort(merges.begin() + static_cast<std::ptrdiff_t>(before), merges.end(),
              [](const DerivedMerge& a, const DerivedMerge& b) {
                return std::pair(a.left, a.right) < std::pair(b.left, b.right);
              });
  }

  const formats::GgufFile& file_;
  std::vector<std::string_view> tokens_;
  std::vector<int32_t> types_;
  TokenizerSpec spec_;
};

}  // namespace

TokenizerSpec spec_from_gguf(const formats::GgufFile& file) { return Reader(file).read(); }

}  // namespace dsrasq::text
