#include "dsrasq/text/safe_cut.h"

#include <algorithm>

#include "dsrasq/text/char_class.h"
#include "dsrasq/text/space_cutter.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

bool is_letter(char byte) { return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'); }

bool has_letter_then_space(std::string_view text) {
  for (size_t at = 1; at < text.size(); ++at)
    if (is_letter(text[at - 1]) && (text[at] == ' ' || text.substr(at).starts_with(kMetaSpace)))
      return true;
  return false;
}

bool has_newline_then_more(std::string_view text) {
  for (size_t at = 1; at < text.size(); ++at)
    if (text[at - 1] == '\n' && text[at] != '\n') return true;
  return false;
}

bool is_word_pattern(const Split& split) {
  return std::holds_alternative<Gpt2Words>(split.pattern) ||
         std::holds_alternative<Llama3Words>(split.pattern);
}

// Steps that do the same to a text whether or not it is cut. `without_spaces`: the normaliser has
// turned every space into something else.
struct IsLocal {
  bool without_spaces = false;

  bool operator()(UnicodeForm) const { return true; }
  bool operator()(const ReplaceLiteral& step) const { return step.from == " "; }
  bool operator()(const ReplaceRegex&) const { return false; }
  bool operator()(const Prepend&) const { return true; }
  bool operator()(const Lowercase&) const { return true; }
  bool operator()(const PrefixSpace&) const { return true; }
  bool operator()(const Metaspace&) const { return true; }
  bool operator()(const Split& step) const {
    const bool isolates = step.behavior == SplitBehavior::kIsolated;
    if (is_word_pattern(step))
      return step.invert ? step.behavior == SplitBehavior::kRemoved : isolates;
    if (std::holds_alternative<NumericChars>(step.pattern))
      return isolates || step.behavior == SplitBehavior::kContiguous;
    const auto* literal = std::get_if<Literal>(&step.pattern);
    return literal != nullptr && literal->text == " " && without_spaces;
  }
};

// Whether the pre-tokeniser cuts at both kinds of places by itself, so that no merge crosses one.
bool always_cuts(const PreTokenizer& pre_tokenizer) {
  return std::any_of(pre_tokenizer.steps.begin(), pre_tokenizer.steps.end(),
                     [](const PreTokenizerStep& step) {
                       const auto* split = std::get_if<Split>(&step);
                       return split != nullptr && is_word_pattern(*split);
                     });
}

// Whether two unknown characters that a cut separates could have become one token.
bool may_fuse(const Bpe& bpe) {
  const bool knows_all_bytes =
      (bpe.is_byte_level || bpe.falls_back_to_bytes) &&
      std::all_of(bpe.byte_ids.begin(), bpe.byte_ids.end(), [](int32_t id) { return id >= 0; });
  return bpe.fuses_unknown && !knows_all_bytes;
}

bool replaces_spaces(const NormalizerStep& step) {
  const auto* replace = std::get_if<ReplaceLiteral>(&step);
  return replace != nullptr && replace->from == " " && replace->to.find(' ') == std::string::npos;
}

bool is_compatibility_form(const NormalizerStep& step) {
  const auto* form = std::get_if<UnicodeForm>(&step);
  return form != nullptr && (*form == UnicodeForm::kNfkc || *form == UnicodeForm::kNfkd);
}

}  // namespace

SafeCut::SafeCut(const TokenizerSpec& spec, const std::vector<AddedToken>& added_tokens,
                 const std::vector<std::string>& added_contents) {
  const auto& normalizer = spec.normalizer.steps;
  const auto& pre_tokenizer = spec.pre_tokenizer.steps;
  const IsLocal rule{std::any_of(normalizer.begin(), normalizer.end(), replaces_spaces)};
  const auto is_local = [&](const auto& step) { return std::visit(rule, step); };
  before_space_ = std::all_of(normalizer.begin(), normalizer.end(), is_local) &&
                  std::all_of(pre_tokenizer.begin(), pre_tokenizer.end(), is_local);
  // A compatibility form may turn what follows the newline into a space.
  after_newline_ =
      before_space_ && std::none_of(normalizer.begin(), normalizer.end(), is_compatibility_form);
  for (const AddedToken& token : added_tokens)
    if (token.single_word || token.strips_left || token.strips_right)
      before_space_ = after_newline_ = false;
  for (const std::string& content : added_contents) {
    if (has_letter_then_space(content)) before_space_ = false;
    if (has_newline_then_more(content)) after_newline_ = false;
  }
  if (always_cuts(spec.pre_tokenizer)) return;
  if (may_fuse(spec.bpe)) before_space_ = after_newline_ = false;
  for (int32_t id = 0; id < spec.bpe.vocab.n_ids(); ++id) {
    const std::string_view token = spec.bpe.vocab.text(id);
    if (has_letter_then_space(token)) before_space_ = false;
    if (has_newline_then_more(token)) after_newline_ = false;
  }
}

bool SafeCut::is_safe(std::string_view text, size_t at) const {
  if (before_space_ && text[at] == ' ' && is_letter(text[at - 1])) return true;
  if (!after_newline_ || text[at - 1] != '\n' || at < 2) return false;
  const CodePoint before = read_code_point_before(text, at - 1);
  const CodePoint next = read_code_point(text, at);
  return before.is_valid && next.is_valid && char_class(before.value) != CharClass::kSpace &&
         char_class(next.value) != CharClass::kSpace;
}

size_t SafeCut::first(std::string_view text, size_t from) const {
  if (!before_space_ && !after_newline_) return text.size();
  for (size_t at = std::max<size_t>(from, 1); at < text.size(); ++at)
    if (is_safe(text, at)) return at;
  return text.size();
}

size_t SafeCut::last(std::string_view text, size_t from) const {
  if (!before_space_ && !after_newline_) return 0;
  for (size_t at = text.size(); at > std::max<size_t>(from, 1);)
    if (is_safe(text, --at)) return at;
  return 0;
}

}  // namespace dsrasq::text
