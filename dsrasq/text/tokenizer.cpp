#include "dsrasq/text/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <unordered_set>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/core/process.h"
#include "dsrasq/formats/gguf.h"
#include "dsrasq/text/safe_cut.h"
#include "dsrasq/text/space_cutter.h"
#include "dsrasq/text/tokenizer_spec.h"

namespace dsrasq::text {
namespace {

constexpr const char* kInTokenizer = "text.tokenizer";
constexpr size_t kPartBytes = 1 << 16;

// Special tokens that end a text or a turn in one of the model families, beside eos.
constexpr std::string_view kEndTokens[] = {"</s>",       "<eos>",         "<end_of_turn>",
                                           "<|im_end|>", "<|endoftext|>", "<|eot_id|>",
                                           "<|eom_id|>", "<|end|>",       "<|end_of_text|>"};

struct Workspace {
  BpeWorkspace bpe;
  AlignedText part, piece, normalized_piece;
  std::vector<AddedSplit> splits, normalized_splits;
  std::vector<ByteRange> words;
  std::vector<Piece> pieces;
};

std::vector<std::string> normalized_contents(const TokenizerSpec& spec) {
  std::vector<std::string> out;
  for (const AddedToken& token : spec.added_tokens)
    out.push_back(token.is_normalized ? spec.normalizer.apply(token.content) : token.content);
  return out;
}

}  // namespace

class Tokenizer::Impl {
 public:
  explicit Impl(TokenizerSpec spec_in)
      : spec(std::move(spec_in)),
        decoded_contents(normalized_contents(spec)),
        added(std::move(spec.added_tokens), decoded_contents),
        cut(spec, added.all(), decoded_contents),
        space_cutter_(spec.bpe.vocab) {
    for (const std::string_view text : kEndTokens) {
      const AddedToken* token = added.find(added.find(text));
      if (token != nullptr && token->is_special) ends.insert(token->id);
    }
    ends.insert(spec.more_ends.begin(), spec.more_ends.end());
    if (spec.eos) ends.insert(*spec.eos);
  }

  // Calls `emit(TokenSpan)` for the tokens of `text`, which begins at byte `base` of the input, at
  // its start or at a safe cut.
  template <class Emit>
  void encode(std::string_view text, uint64_t base, const EncodeOptions& options,
              const Emit& emit) const {
    if (base == 0 && options.add_bos && spec.bos) emit(TokenSpan{*spec.bos, 0, 0});
    auto workspace = take_workspace();
    for (size_t at = 0; at < text.size();) {
      check_interrupt();
      const size_t end = cut.first(text, std::min(at + kPartBytes, text.size()));
      DSRASQ_CHECK(end - at < (size_t{1} << 30), kInvalidArgument, kInTokenizer, "a text of ",
                   end - at, " bytes without a place where this tokenizer can cut it");
      encode_part(text.substr(at, end - at), base + at, options.parse_special, *workspace, emit);
      at = end;
    }
    give_back(std::move(workspace));
  }

  // What the token reads when it is decoded; nothing for an id that stands for nothing.
  std::optional<std::string_view> decoded_token(int32_t id) const {
    if (const AddedToken* token = added.find(id))
      return decoded_contents[static_cast<size_t>(token - added.all().data())];
    if (!spec.bpe.vocab.has(id)) return std::nullopt;
    return spec.bpe.vocab.text(id);
  }

  bool is_special(int32_t id) const {
    const AddedToken* token = added.find(id);
    return token != nullptr && token->is_special;
  }

  TokenizerSpec spec;
  std::vector<std::string> decoded_contents;  // of the added tokens, normalised where they are
  AddedTokens added;
  SafeCut cut;
  std::unordered_set<int32_t> ends;

 private:
  template <class Emit>
  void encode_part(std::string_view text, uint64_t base, bool parse_special, Workspace& workspace,
                   const Emit& emit) const {
    workspace.part.assign(text);
    added.split(workspace.part.text(), false, parse_special, workspace.splits);
    for (const AddedSplit& split : workspace.splits) {
      if (split.id >= 0) {
        const ByteRange source = workspace.part.source_of(split.range);
        emit(TokenSpan{split.id, base + source.begin, base + source.end});
        continue;
      }
      const PreTokenizer::Place place{base == 0 && split.range.begin == 0,
                                      base != 0 && split.range.begin == 0};
      workspace.piece.assign_slice(workspace.part, split.range);
      spec.normalizer.apply(workspace.piece, place.continues);
      encode_normalized(base, place, parse_special, workspace, emit);
    }
  }

  template <class Emit>
  void encode_normalized(uint64_t base, PreTokenizer::Place place, bool parse_special,
                         Workspace& workspace, const Emit& emit) const {
    if (!added.any_normalized()) return encode_words(workspace.piece, base, place, workspace, emit);
    added.split(workspace.piece.text(), true, parse_special, workspace.normalized_splits);
    for (const AddedSplit& split : workspace.normalized_splits) {
      if (split.id >= 0) {
        const ByteRange source = workspace.piece.source_of(split.range);
        emit(TokenSpan{split.id, base + source.begin, base + source.end});
        continue;
      }
      const bool is_first = split.range.begin == 0;
      workspace.normalized_piece.assign_slice(workspace.piece, split.range);
      encode_words(workspace.normalized_piece, base,
                   {place.starts_input && is_first, place.continues && is_first}, workspace, emit);
    }
  }

  template <class Emit>
  void encode_words(AlignedText& text, uint64_t base, PreTokenizer::Place place,
                    Workspace& workspace, const Emit& emit) const {
    spec.pre_tokenizer.apply(text, place, workspace.words);
    const std::string_view all = text.text();
    for (const ByteRange word : workspace.words) {
      for (size_t at = word.begin; at < word.end;) {
        const size_t end =
            spec.bpe.is_byte_level ? word.end : space_cutter_.part_end(all.substr(0, word.end), at);
        workspace.pieces.clear();
        spec.bpe.encode(all.substr(at, end - at), workspace.bpe, workspace.pieces);
        for (const Piece& piece : workspace.pieces) {
          const auto begin = static_cast<uint32_t>(at);
          const ByteRange source = text.source_of({begin + piece.begin, begin + piece.end});
          emit(TokenSpan{piece.id, base + source.begin, base + source.end});
        }
        at = end;
      }
    }
  }

  std::unique_ptr<Workspace> take_workspace() const {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<Workspace>();
    auto workspace = std::move(idle_.back());
    idle_.pop_back();
    return workspace;
  }
  void give_back(std::unique_ptr<Workspace> workspace) const {
    // One that a text without safe cuts has made large is not kept.
    if (workspace->words.capacity() > kPartBytes) return;
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(workspace));
  }

  SpaceCutter space_cutter_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

Tokenizer::Tokenizer(TokenizerSpec spec) : impl_(std::make_unique<Impl>(std::move(spec))) {}
Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<int32_t> ids;
  impl_->encode(text, 0, options, [&](const TokenSpan& token) { ids.push_back(token.id); });
  return ids;
}

std::vector<TokenSpan> Tokenizer::encode_with_offsets(std::string_view text,
                                                      const EncodeOptions& options) const {
  std::vector<TokenSpan> tokens;
  impl_->encode(text, 0, options, [&](const TokenSpan& token) { tokens.push_back(token); });
  return tokens;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  StreamingDecoder decoder(*this, skip_special);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

std::string Tokenizer::token_bytes(int32_t id) const {
  const auto token = impl_->decoded_token(id);
  return token ? impl_->spec.decoder.bytes_of(*token, false) : std::string();
}

int64_t Tokenizer::vocab_size() const {
  int64_t size = impl_->spec.bpe.vocab.n_ids();
  for (const AddedToken& token : impl_->added.all()) size = std::max<int64_t>(size, token.id + 1);
  return size;
}

std::optional<int32_t> Tokenizer::bos() const { return impl_->spec.bos; }
std::optional<int32_t> Tokenizer::eos() const { return impl_->spec.eos; }
bool Tokenizer::adds_bos() const { return impl_->spec.adds_bos && impl_->spec.bos.has_value(); }
bool Tokenizer::is_end_of_text(int32_t id) const { return impl_->ends.contains(id); }
bool Tokenizer::is_special(int32_t id) const { return impl_->is_special(id); }
const std::string& Tokenizer::chat_template_source() const { return impl_->spec.chat_template; }

std::optional<int32_t> Tokenizer::find(std::string_view token) const {
  int32_t id = impl_->added.find(token);
  if (id < 0) id = impl_->spec.bpe.vocab.find(token);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::string Tokenizer::fingerprint() const {
  Fingerprint all;
  const Bpe& bpe = impl_->spec.bpe;
  all.add(impl_->spec.description);
  for (int32_t id = 0; id < bpe.vocab.n_ids(); ++id) all.add(bpe.vocab.text(id));
  all.add(bpe.merges.digest());
  for (const AddedToken& token : impl_->added.all()) {
    all.add(token.content);
    const bool flags[] = {token.is_special, token.is_normalized, token.single_word,
                          token.strips_left, token.strips_right};
    uint64_t bits = static_cast<uint64_t>(token.id);
    for (const bool flag : flags) bits = bits << 1 | (flag ? 1 : 0);
    all.add(bits);
  }
  return all.hex();
}

StreamingEncoder::StreamingEncoder(const Tokenizer& tokenizer, const EncodeOptions& options)
    : tokenizer_(tokenizer), options_(options) {}

std::vector<TokenSpan> StreamingEncoder::push(std::string_view part) {
  const size_t searched = held_.size();
  held_ += part;
  const size_t end = tokenizer_.impl_->cut.last(held_, searched);
  return end == 0 ? std::vector<TokenSpan>() : take(end);
}

std::vector<TokenSpan> StreamingEncoder::finish() { return take(held_.size()); }

std::vector<TokenSpan> StreamingEncoder::take(size_t n_bytes) {
  std::vector<TokenSpan> tokens;
  tokenizer_.impl_->encode(std::string_view(held_).substr(0, n_bytes), held_begin_, options_,
                           [&](const TokenSpan& token) { tokens.push_back(token); });
  held_.erase(0, n_bytes);
  held_begin_ += n_bytes;
  return tokens;
}

struct StreamingDecoder::State {
  const Tokenizer::Impl& tokenizer;
  bool skip_special;
  DecodeState decode;
};

StreamingDecoder::StreamingDecoder(const Tokenizer& tokenizer, bool skip_special)
    : state_(
          new State{*tokenizer.impl_, skip_special, DecodeState(tokenizer.impl_->spec.decoder)}) {}
StreamingDecoder::~StreamingDecoder() = default;

std::string StreamingDecoder::push(int32_t id) {
  const auto token = state_->tokenizer.decoded_token(id);
  if (!token || (state_->skip_special && state_->tokenizer.is_special(id))) return {};
  return state_->decode.push(*token);
}

std::string StreamingDecoder::finish() { return state_->decode.finish(); }

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& gguf_or_folder) {
  namespace fs = std::filesystem;
  constexpr uint64_t kMaxJsonBytes = 1 << 26;
  if (gguf_or_folder.extension() == ".gguf") {
    const formats::GgufFile file(gguf_or_folder);
    return std::make_unique<Tokenizer>(spec_from_gguf(file));
  }
  TokenizerFiles files;
  files.name = gguf_or_folder.string();
  if (!fs::is_directory(gguf_or_folder)) {
    files.tokenizer_json = read_file(gguf_or_folder, kMaxJsonBytes);
    return std::make_unique<Tokenizer>(spec_from_json(files));
  }
  const auto read_if_there = [&](const char* name) {
    const fs::path path = gguf_or_folder / name;
    return fs::exists(path) ? read_file(path, kMaxJsonBytes) : std::string();
  };
  files.tokenizer_json = read_file(gguf_or_folder / "tokenizer.json", kMaxJsonBytes);
  files.tokenizer_config = read_if_there("tokenizer_config.json");
  files.generation_config = read_if_there("generation_config.json");
  files.chat_template = read_if_there("chat_template.jinja");
  return std::make_unique<Tokenizer>(spec_from_json(files));
}

}  // namespace dsrasq::text
