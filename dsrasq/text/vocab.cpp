#include "dsrasq/text/vocab.h"

#include <algorithm>
#include <bit>

#include "dsrasq/core/hash.h"

namespace dsrasq::text {
namespace {

uint64_t hash_of(std::string_view text) {
  Fingerprint fingerprint;
  fingerprint.add(text);
  return fingerprint.value();
}

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

// Slots for n items at most half full.
size_t slots_for(size_t n) { return std::bit_ceil(std::max<size_t>(n * 2, 16)); }

}  // namespace

void Vocab::reserve(size_t n_tokens) {
  tokens_.reserve(n_tokens);
  while (slots_.size() < slots_for(n_tokens)) grow();
}

bool Vocab::add(std::string_view text, int32_t id) {
  const auto index = static_cast<size_t>(id);
  if (has(id)) return false;
  if (tokens_.size() <= index) tokens_.resize(index + 1);
  tokens_[index] = {texts_.size(), static_cast<uint32_t>(text.size()), true};
  texts_ += text;
  ++n_tokens_;
  if ((n_texts_ + 1) * 2 > slots_.size()) grow();
  const uint64_t hash = hash_of(text);
  Slot& slot = slots_[slot_of(text, hash)];
  if (slot.id < 0) {
    slot = {static_cast<uint32_t>(hash), id};
    ++n_texts_;
  }
  return true;
}

int32_t Vocab::find(std::string_view text) const {
  return slots_.empty() ? -1 : slots_[slot_of(text, hash_of(text))].id;
}

std::string_view Vocab::text(int32_t id) const {
  if (!has(id)) return {};
  const Token& token = tokens_[static_cast<size_t>(id)];
  return std::string_view(texts_).substr(token.begin, token.length);
}

size_t Vocab::slot_of(std::string_view text, uint64_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t at = (hash >> 32) & mask;
  while (slots_[at].id >= 0 &&
         (slots_[at].tag != static_cast<uint32_t>(hash) || Vocab::text(slots_[at].id) != text))
    at = (at + 1) & mask;
  return at;
}

void Vocab::grow() {
  std::vector<Slot> old(slots_for(slots_.size()));
  old.swap(slots_);
  for (const Slot& slot : old) {
    if (slot.id < 0) continue;
    const std::string_view known = text(slot.id);
    slots_[slot_of(known, hash_of(known))] = slot;
  }
}

void MergeTable::reserve(size_t n_merges) {
  if (slots_.size() < slots_for(n_merges)) grow(slots_for(n_merges));
}

void MergeTable::set(int32_t left, int32_t right, Merge merge) {
  if ((size_ + 1) * 2 > slots_.size()) grow(slots_for(slots_.size()));
  const uint64_t pair = pair_of(left, right);
  Slot& slot = slots_[slot_of(pair)];
  size_ += slot.pair == kEmpty;
  slot = {pair, merge};
}

const Merge* MergeTable::find(int32_t left, int32_t right) const {
  if (slots_.empty()) return nullptr;
  const Slot& slot = slots_[slot_of(pair_of(left, right))];
  return slot.pair == kEmpty ? nullptr : &slot.merge;
}

uint64_t MergeTable::digest() const {
  uint64_t sum = 0;
  for (const Slot& slot : slots_) {
    if (slot.pair == kEmpty) continue;
    Fingerprint one;
    one.add(slot.pair);
    one.add(pair_of(static_cast<int32_t>(slot.merge.rank), slot.merge.id));
    sum += one.value();
  }
  return sum;
}

size_t MergeTable::slot_of(uint64_t pair) const {
  const size_t mask = slots_.size() - 1;
  size_t at = (pair * 0x9E3779B97F4A7C15ull >> 20) & mask;
  while (slots_[at].pair != kEmpty && slots_[at].pair != pair) at = (at + 1) & mask;
  return at;
}

void MergeTable::grow(size_t n_slots) {
  std::vector<Slot> old(n_slots);
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.pair != kEmpty) slots_[slot_of(slot.pair)] = slot;
}

}  // namespace dsrasq::text
