#include "dsrasq/text/bpe.h"

#include <algorithm>
#include <optional>

#include "dsrasq/core/hash.h"
#include "dsrasq/text/byte_alphabet.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

constexpr size_t kCacheSlots = 1 << 16;
constexpr size_t kMaxCachedWords = kCacheSlots / 2;
constexpr size_t kMaxCachedPieces = 1 << 20;
constexpr size_t kMaxCachedBytes = 256;  // of one word

}  // namespace

BpeWorkspace::BpeWorkspace() : cache_(kCacheSlots) {}

std::array<int32_t, 256> Bpe::filled() {
  std::array<int32_t, 256> ids;
  ids.fill(-1);
  return ids;
}

void Bpe::encode(std::string_view word, BpeWorkspace& workspace, std::vector<Piece>& out) const {
  if (word.empty()) return;
  if (word.size() > kMaxCachedBytes) return encode_new(word, workspace, out);
  Fingerprint fingerprint;
  fingerprint.add(word);
  const uint64_t hash = fingerprint.value();
  auto& cache = workspace.cache_;
  size_t at = hash % kCacheSlots;
  for (; cache[at].key_length != 0; at = (at + 1) % kCacheSlots) {
    const auto& found = cache[at];
    if (found.hash != hash ||
        std::string_view(workspace.cached_keys_).substr(found.key_begin, found.key_length) != word)
      continue;
    const auto pieces = workspace.cached_pieces_.begin() + found.pieces_begin;
    out.insert(out.end(), pieces, pieces + found.n_pieces);
    return;
  }
  const size_t before = out.size();
  encode_new(word, workspace, out);
  if (workspace.n_cached_ >= kMaxCachedWords ||
      workspace.cached_pieces_.size() >= kMaxCachedPieces) {
    std::fill(cache.begin(), cache.end(), BpeWorkspace::CachedWord{});
    workspace.cached_keys_.clear();
    workspace.cached_pieces_.clear();
    workspace.n_cached_ = 0;
    at = hash % kCacheSlots;
  }
  cache[at] = {hash, static_cast<uint32_t>(workspace.cached_keys_.size()),
               static_cast<uint32_t>(word.size()),
               static_cast<uint32_t>(workspace.cached_pieces_.size()),
               static_cast<uint32_t>(out.size() - before)};
  workspace.cached_keys_ += word;
  workspace.cached_pieces_.insert(workspace.cached_pieces_.end(),
                                  out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
  ++workspace.n_cached_;
}

void Bpe::encode_new(std::string_view word, BpeWorkspace& workspace,
                     std::vector<Piece>& out) const {
  if (ignores_merges) {
    std::string_view text = word;
    if (is_byte_level) {
      workspace.letters_.clear();
      append_letters(workspace.letters_, word);
      text = workspace.letters_;
    }
    if (const int32_t id = vocab.find(text); id >= 0) {
      out.push_back({id, 0, static_cast<uint32_t>(word.size())});
      return;
    }
  }
  workspace.symbols_.clear();
  if (is_byte_level) {
    split_bytes(word, workspace);
  } else {
    split_chars(word, workspace);
  }
  auto& symbols = workspace.symbols_;
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
  }
  merge_all(workspace);
  for (const auto& symbol : symbols)
    if (!symbol.is_merged_away) out.push_back(symbol.piece);
}

void Bpe::split_bytes(std::string_view word, BpeWorkspace& workspace) const {
  // A byte without a token is unknown by itself: fused with its neighbours only when asked to.
  for (uint32_t at = 0; at < word.size(); ++at) {
    const int32_t id = byte_ids[static_cast<unsigned char>(word[at])];
    auto& symbols = workspace.symbols_;
    if (id < 0 && fuses_unknown && !symbols.empty() && symbols.back().piece.id == unknown_id &&
        symbols.back().piece.end == at) {
      symbols.back().piece.end = at + 1;
    } else if (id >= 0 || unknown_id >= 0) {
      symbols.push_back({{id >= 0 ? id : unknown_id, at, at + 1}, -1, -1, false});
    }
  }
}

void Bpe::split_chars(std::string_view word, BpeWorkspace& workspace) const {
  auto& symbols = workspace.symbols_;
  // An unknown stretch waits until a known token follows; byte tokens overtake it, as they do in
  // `tokenizers`.
  std::optional<Piece> unknown;
  const auto flush_unknown = [&] {
    if (unknown) symbols.push_back({*unknown, -1, -1, false});
    unknown.reset();
  };
  for (uint32_t at = 0; at < word.size();) {
    const uint32_t end = at + read_code_point(word, at).length;
    if (const int32_t id = vocab.find(word.substr(at, end - at)); id >= 0) {
      flush_unknown();
      symbols.push_back({{id, at, end}, -1, -1, false});
    } else if (!push_fallback(word, at, end, workspace) && unknown_id >= 0) {
      if (unknown && fuses_unknown) {
        unknown->end = end;
      } else {
        flush_unknown();
        unknown = Piece{unknown_id, at, end};
      }
    }
    at = end;
  }
  flush_unknown();
}

bool Bpe::push_fallback(std::string_view word, uint32_t begin, uint32_t end,
                        BpeWorkspace& workspace) const {
  if (!falls_back_to_bytes) return false;
  const auto id_at = [&](uint32_t at) { return byte_ids[static_cast<unsigned char>(word[at])]; };
  for (uint32_t at = begin; at < end; ++at)
    if (id_at(at) < 0) return false;
  for (uint32_t at = begin; at < end; ++at)
    workspace.symbols_.push_back({{id_at(at), at, at + 1}, -1, -1, false});
  return true;
}

void Bpe::push_candidate(int32_t left, int32_t right, BpeWorkspace& workspace) const {
  if (left < 0 || right < 0) return;
  const auto id_at = [&](int32_t i) { return workspace.symbols_[static_cast<size_t>(i)].piece.id; };
  if (const Merge* merge = merges.find(id_at(left), id_at(right))) {
    workspace.heap_.push_back({merge->rank, static_cast<uint32_t>(left), merge->id});
    std::push_heap(workspace.heap_.begin(), workspace.heap_.end());
  }
}

void Bpe::merge_all(BpeWorkspace& workspace) const {
  auto& symbols = workspace.symbols_;
  auto& heap = workspace.heap_;
  heap.clear();
  for (size_t i = 1; i < symbols.size(); ++i)
    push_candidate(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i), workspace);
  while (!heap.empty()) {
    const auto best = heap.front();
    std::pop_heap(heap.begin(), heap.end());
    heap.pop_back();
    auto& left = symbols[best.at];
    if (left.is_merged_away || left.next < 0) continue;
    auto& right = symbols[static_cast<size_t>(left.next)];
    const Merge* merge = merges.find(left.piece.id, right.piece.id);
    if (merge == nullptr || merge->id != best.id) continue;  // one of the two is gone
    left.piece.id = best.id;
    left.piece.end = right.piece.end;
    left.next = right.next;
    right.is_merged_away = true;
    if (left.next >= 0)
      symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(best.at);
    push_candidate(left.previous, static_cast<int32_t>(best.at), workspace);
    push_candidate(static_cast<int32_t>(best.at), left.next, workspace);
  }
}

}  // namespace dsrasq::text
