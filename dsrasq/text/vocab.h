#pragma once

// Token texts and their ids, and the table of merges: flat hash tables, so that a vocabulary of
// 262,144 tokens loads in a moment.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dsrasq::text {

/// No vocabulary has an id at or above: one that is cannot make a small file ask for much memory.
constexpr int64_t kMaxTokenIds = int64_t{1} << 22;

class Vocab {
 public:
  void reserve(size_t n_tokens);
  /// False, with nothing stored, when the id is taken. `id` is in [0, kMaxTokenIds). When the text
  /// is known already, `find` goes on giving its first id.
  [[nodiscard]] bool add(std::string_view text, int32_t id);
  /// -1 when there is none.
  int32_t find(std::string_view text) const;
  bool has(int32_t id) const {
    return id >= 0 && id < n_ids() && tokens_[static_cast<size_t>(id)].is_set;
  }
  /// Empty for an id that stands for nothing.
  std::string_view text(int32_t id) const;
  /// One more than the largest id.
  int32_t n_ids() const { return static_cast<int32_t>(tokens_.size()); }
  size_t n_tokens() const { return n_tokens_; }

 private:
  struct Token {
    uint64_t begin = 0;
    uint32_t length = 0;
    bool is_set = false;
  };
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;
  };
  size_t slot_of(std::string_view text, uint64_t hash) const;
  void grow();

  std::string texts_;
  std::vector<Token> tokens_;  // by id
  std::vector<Slot> slots_;
  size_t n_tokens_ = 0, n_texts_ = 0;
};

/// What a pair of neighbours becomes, and how early.
struct Merge {
  uint32_t rank;
  int32_t id;
};

class MergeTable {
 public:
  void reserve(size_t n_merges);
  /// A pair that is there already takes the new values.
  void set(int32_t left, int32_t right, Merge merge);
  /// Null when the pair does not merge.
  const Merge* find(int32_t left, int32_t right) const;
  size_t size() const { return size_; }
  /// Over all merges, whatever order they were set in.
  uint64_t digest() const;

 private:
  static constexpr uint64_t kEmpty = ~0ull;
  struct Slot {
    uint64_t pair = kEmpty;
    Merge merge{};
  };
  size_t slot_of(uint64_t pair) const;
  void grow(size_t n_slots);

  std::vector<Slot> slots_;
  size_t size_ = 0;
};

}  // namespace dsrasq::text
