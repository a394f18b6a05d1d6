#pragma once

// Tokenizers: byte-level BPE (GPT-2, SmolLM2, Llama 3, Qwen 2) and SentencePiece-style BPE (Llama
// 2, Mistral, Gemma), from a GGUF file or a Hugging Face folder. Same ids as Hugging Face
// `tokenizers`.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::text {

struct TokenizerSpec;

struct EncodeOptions {
  bool add_bos = false;        ///< begin with the bos token, when there is one
  bool parse_special = false;  ///< off: the text of a special token is ordinary text
};

/// A token and the bytes of the source text that it stands for.
struct TokenSpan {
  int32_t id;
  uint64_t begin, end;  ///< byte offsets; both the same for a token that stands for no text
};

/// Const calls may run on several threads. Ids that stand for nothing decode to nothing.
class Tokenizer {
 public:
  explicit Tokenizer(TokenizerSpec spec);
  ~Tokenizer();

  /// Text that is not valid UTF-8 is accepted: each invalid part reads as U+FFFD, as after Python's
  /// `bytes.decode(errors="replace")`. Linear in the text but for single words, which are n log n.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  /// The same tokens with the bytes of `text` that they stand for.
  std::vector<TokenSpan> encode_with_offsets(std::string_view text,
                                             const EncodeOptions& options = {}) const;

  /// Always valid UTF-8. Without `skip_special` special tokens appear by their text.
  std::string decode(std::span<const int32_t> ids, bool skip_special = true) const;
  /// What a token adds to a text that it does not begin; may be part of a character.
  std::string token_bytes(int32_t id) const;

  /// One more than the largest id.
  int64_t vocab_size() const;
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  /// Whether the model is trained with bos at the start: what `EncodeOptions::add_bos` should be.
  bool adds_bos() const;
  /// Whether generation ends here: eos, and the special tokens that end a text or a turn.
  bool is_end_of_text(int32_t id) const;
  /// The id of a token as its file writes it; added tokens first.
  std::optional<int32_t> find(std::string_view token) const;
  bool is_special(int32_t id) const;
  /// A Jinja template; empty when there is none.
  const std::string& chat_template_source() const;
  /// 16 hex digits over everything that decides how texts are encoded.
  std::string fingerprint() const;

 private:
  friend class StreamingEncoder;
  friend class StreamingDecoder;
  class Impl;
  std::unique_ptr<const Impl> impl_;
};

/// Reads a GGUF file, a folder with tokenizer.json (and tokenizer_config.json, chat_template.jinja,
/// generation_config.json where present), or a tokenizer.json by itself. Throws kBadInput naming
/// the file and the field.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& gguf_or_folder);

/// Encodes a text that arrives in parts: in all the same tokens as one `encode_with_offsets` call
/// on the whole. Holds back at most the text since the last place where cutting is known to be
/// safe, which for prose is a few kilobytes.
class StreamingEncoder {
 public:
  /// `tokenizer` must outlive this.
  explicit StreamingEncoder(const Tokenizer& tokenizer, const EncodeOptions& options = {});
  /// The tokens that nothing that follows can change any more; offsets count from the first part.
  std::vector<TokenSpan> push(std::string_view part);
  /// The rest. Call once, last.
  std::vector<TokenSpan> finish();

 private:
  std::vector<TokenSpan> take(size_t n_bytes);

  const Tokenizer& tokenizer_;
  EncodeOptions options_;
  std::string held_;
  uint64_t held_begin_ = 0;
};

/// Decodes token by token. Never gives part of a character: together, what it gave is what
/// `decode` gives for all the tokens.
class StreamingDecoder {
 public:
  /// `tokenizer` must outlive this.
  explicit StreamingDecoder(const Tokenizer& tokenizer, bool skip_special = true);
  ~StreamingDecoder();
  std::string push(int32_t id);
  /// What was held back; bytes that are no character become U+FFFD. Call once, last.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dsrasq::text
