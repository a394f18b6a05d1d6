#include "dsrasq/text/tokenizer_json_parts.h"

#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

constexpr int kMaxSequenceDepth = 8;  // of sequences in sequences
constexpr int64_t kMaxStrip = 1 << 20;

bool flag(const JsonView& view, const char* key, bool otherwise) {
  const auto found = view.find(key);
  return found ? found->boolean() : otherwise;
}

char32_t one_char(const JsonView& view) {
  const std::string& text = view.string();
  const CodePoint point = text.empty() ? CodePoint{} : read_code_point(text, 0);
  if (text.empty() || point.length != text.size()) view.fail("is not one character");
  return point.value;
}

Regex read_regex(const JsonView& view) {
  try {
    return Regex(view.string());
  } catch (const Error& e) {
    view.fail(concat("cannot be used: ", e.what()));
  }
}

// Calls `read` for the items of a sequence, or for the one part that is no sequence.
template <class Read>
void for_each_part(const JsonView& view, const char* items, Read read, int depth = 0) {
  if (depth > kMaxSequenceDepth) view.fail("is nested too deeply");
  if (view.at("type").string() != "Sequence") return read(view);
  const JsonView parts = view.at(items);
  for (size_t i = 0; i < parts.size(); ++i) for_each_part(parts[i], items, read, depth + 1);
}

NormalizerStep read_normalizer_step(const JsonView& view) {
  const std::string& type = view.at("type").string();
  if (type == "NFC") return UnicodeForm::kNfc;
  if (type == "NFD") return UnicodeForm::kNfd;
  if (type == "NFKC") return UnicodeForm::kNfkc;
  if (type == "NFKD") return UnicodeForm::kNfkd;
  if (type == "Lowercase") return Lowercase{};
  if (type == "Prepend") return Prepend{view.at("prepend").string()};
  if (type == "Replace") {
    const std::string& to = view.at("content").string();
    const JsonView pattern = view.at("pattern");
    if (const auto from = pattern.find("String")) return ReplaceLiteral{from->string(), to};
    return ReplaceRegex{read_regex(pattern.at("Regex")), to};
  }
  view.fail("is of type \"" + type + "\", which is not supported");
}

SplitBehavior read_behavior(const JsonView& view) {
  const std::string& name = view.string();
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  view.fail("is \"" + name + "\", which is no known behavior");
}

Split read_split(const JsonView& view) {
  const SplitBehavior behavior = read_behavior(view.at("behavior"));
  const bool invert = flag(view, "invert", false);
  const JsonView pattern = view.at("pattern");
  if (const auto literal = pattern.find("String"))
    return {Literal{literal->string()}, behavior, invert};
  const JsonView regex = pattern.at("Regex");
  try {
    return {make_split_pattern(regex.string()), behavior, invert};
  } catch (const Error& e) {
    regex.fail(concat("cannot be used: ", e.what()));
  }
}

Metaspace read_metaspace(const JsonView& view) {
  Metaspace step;
  one_char(view.at("replacement"));
  step.replacement = view.at("replacement").string();
  step.split = flag(view, "split", true);
  std::string scheme = "always";
  if (const auto found = view.find("prepend_scheme")) scheme = found->string();
  if (!flag(view, "add_prefix_space", true)) scheme = "never";
  if (scheme == "first") {
    step.prepend = Metaspace::Prepend::kFirst;
  } else if (scheme == "never") {
    step.prepend = Metaspace::Prepend::kNever;
  } else if (scheme != "always") {
    view.fail("has the unknown prepend_scheme \"" + scheme + '"');
  }
  return step;
}

void read_token_decoder(const JsonView& view, Decoder& decoder, bool& is_fused) {
  const std::string& type = view.at("type").string();
  if (is_fused && type != "Strip" && type != "Fuse")
    view.fail("is of type \"" + type + "\" behind Fuse, which is not supported");
  if (type == "Fuse") {
    is_fused = true;
  } else if (type == "ByteFallback") {
    decoder.joins_byte_tokens = true;
  } else if (type == "Replace") {
    decoder.token_steps.push_back(
        DecodeReplace{view.at("pattern").at("String").string(), view.at("content").string()});
  } else if (type == "Metaspace") {
    const Metaspace step = read_metaspace(view);
    decoder.token_steps.push_back(
        DecodeMetaspace{step.replacement, step.prepend != Metaspace::Prepend::kNever});
  } else if (type == "Strip") {
    const auto start = static_cast<size_t>(view.at("start").integer(0, kMaxStrip));
    if (view.at("stop").integer(0, kMaxStrip) != 0)
      view.at("stop").fail("is not 0, which is not supported");
    const DecodeStrip step{one_char(view.at("content")), start};
    if (is_fused) {
      decoder.strip_text = step;
    } else {
      decoder.token_steps.push_back(step);
    }
  } else {
    view.fail("is of type \"" + type + "\", which is not supported");
  }
}

}  // namespace

Normalizer read_normalizer(const JsonView& view) {
  Normalizer normalizer;
  for_each_part(view, "normalizers", [&](const JsonView& part) {
    normalizer.steps.push_back(read_normalizer_step(part));
  });
  return normalizer;
}

PreTokenizer read_pre_tokenizer(const JsonView& view, bool& has_byte_level) {
  PreTokenizer pre_tokenizer;
  auto& steps = pre_tokenizer.steps;
  for_each_part(view, "pretokenizers", [&](const JsonView& part) {
    const std::string& type = part.at("type").string();
    if (has_byte_level) part.fail("comes after ByteLevel, which is not supported");
    if (type == "ByteLevel") {
      has_byte_level = true;
      if (flag(part, "add_prefix_space", true)) steps.push_back(PrefixSpace{});
      if (flag(part, "use_regex", true)) steps.push_back(Split{Gpt2Words{}});
    } else if (type == "Split") {
      steps.push_back(read_split(part));
    } else if (type == "Digits") {
      const bool one_by_one = flag(part, "individual_digits", false);
      steps.push_back(Split{NumericChars{},
                            one_by_one ? SplitBehavior::kIsolated : SplitBehavior::kContiguous});
    } else if (type == "Metaspace") {
      steps.push_back(read_metaspace(part));
    } else {
      part.fail("is of type \"" + type + "\", which is not supported");
    }
  });
  return pre_tokenizer;
}

Decoder read_decoder(const JsonView& view) {
  Decoder decoder;
  decoder.kind = Decoder::Kind::kPieces;
  bool is_fused = false;
  int n_parts = 0;
  for_each_part(view, "decoders", [&](const JsonView& part) {
    if (decoder.kind == Decoder::Kind::kByteLevel)
      part.fail("comes after ByteLevel, which is not supported");
    if (part.at("type").string() != "ByteLevel") {
      read_token_decoder(part, decoder, is_fused);
    } else if (n_parts == 0) {
      decoder.kind = Decoder::Kind::kByteLevel;
    } else {
      part.fail("comes after another decoder, which is not supported");
    }
    ++n_parts;
  });
  return decoder;
}

}  // namespace dsrasq::text
