#include "dsrasq/text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "dsrasq/text/char_class.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

bool is_space_before(std::string_view text, size_t at, uint32_t& length) {
  const CodePoint point = read_code_point_before(text, at);
  length = point.length;
  return char_class(point.value) == CharClass::kSpace;
}

size_t strip_left(std::string_view text, size_t at, size_t least) {
  for (uint32_t length = 0; at > least && is_space_before(text, at, length);) at -= length;
  return std::max(at, least);
}

size_t strip_right(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint point = read_code_point(text, at);
    if (char_class(point.value) != CharClass::kSpace) break;
    at += point.length;
  }
  return at;
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  const bool joins_left = begin > 0 && is_word_char(read_code_point_before(text, begin).value);
  const bool joins_right = end < text.size() && is_word_char(read_code_point(text, end).value);
  return !joins_left && !joins_right;
}

}  // namespace

void StringSet::add(std::string_view text, int32_t value) {
  if (text.empty()) return;
  begins_[static_cast<unsigned char>(text[0])] = true;
  uint32_t node = 0;
  for (const char byte : text) {
    const auto [at, is_new] =
        edges_.try_emplace(edge(node, byte), static_cast<uint32_t>(nodes_.size()));
    if (is_new) nodes_.emplace_back();
    node = at->second;
  }
  if (nodes_[node].value < 0) nodes_[node].value = value;
}

std::optional<StringSet::Found> StringSet::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); ++begin) {
    if (!begins_[static_cast<unsigned char>(text[begin])]) continue;
    std::optional<Found> longest;
    uint32_t node = 0;
    for (size_t at = begin; at < text.size(); ++at) {
      const auto next = edges_.find(edge(node, text[at]));
      if (next == edges_.end()) break;
      node = next->second;
      if (nodes_[node].value >= 0) longest = Found{begin, at + 1, nodes_[node].value};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens,
                         const std::vector<std::string>& normalized_contents)
    : tokens_(std::move(tokens)) {
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const AddedToken& token = tokens_[i];
    by_id_.emplace(token.id, i);
    by_content_.emplace(token.content, token.id);
    if (token.is_normalized) {
      normalized_.add(normalized_contents[i], static_cast<int32_t>(i));
    } else {
      raw_.add(token.content, static_cast<int32_t>(i));
    }
  }
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : &tokens_[at->second];
}

int32_t AddedTokens::find(std::string_view content) const {
  const auto at = by_content_.find(std::string(content));
  return at == by_content_.end() ? -1 : at->second;
}

void AddedTokens::split(std::string_view text, bool is_normalized, bool parse_special,
                        std::vector<AddedSplit>& out) const {
  out.clear();
  const StringSet& set = is_normalized ? normalized_ : raw_;
  const auto emit = [&](size_t begin, size_t end, int32_t id) {
    out.push_back({{static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}, id});
  };
  size_t covered = 0;
  size_t from = 0;
  while (!set.empty()) {
    const auto found = set.find(text, from);
    if (!found) break;
    from = found->end;
    const AddedToken& token = tokens_[static_cast<size_t>(found->value)];
    if (token.is_special && !parse_special) continue;
    if (token.single_word && !stands_alone(text, found->begin, found->end)) continue;
    const size_t begin = token.strips_left ? strip_left(text, found->begin, covered) : found->begin;
    const size_t end = token.strips_right ? strip_right(text, found->end) : found->end;
    if (covered < begin) emit(covered, begin, -1);
    emit(begin, end, token.id);
    covered = end;
  }
  if (covered < text.size()) emit(covered, text.size(), -1);
}

}  // namespace dsrasq::text
