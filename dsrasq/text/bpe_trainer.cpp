#include "dsrasq/text/bpe_trainer.h"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <queue>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/process.h"
#include "dsrasq/text/byte_alphabet.h"
#include "dsrasq/text/pre_tokenizer.h"
#include "dsrasq/text/vocab.h"

namespace dsrasq::text {
namespace {

using Pair = std::pair<int32_t, int32_t>;
using WordIndex = int32_t;

struct PairHash {
  size_t operator()(const Pair& pair) const {
    return std::hash<uint64_t>()(static_cast<uint64_t>(static_cast<uint32_t>(pair.first)) << 32 |
                                 static_cast<uint32_t>(pair.second));
  }
};

struct Word {
  std::vector<int32_t> ids;
  int64_t count = 0;
};

// Neighbours that may become a token, as frequent as they were when this was queued.
struct Candidate {
  int64_t count;
  Pair pair;
  std::vector<WordIndex> words;  // where they came up

  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

class Merger {
 public:
  Merger(const std::unordered_map<std::string, int64_t>& words, BpeVocabulary& out) : out_(out) {
    add_bytes();
    for (const auto& [text, count] : words) {
      Word word{.ids = {}, .count = count};
      for (const char c : text) word.ids.push_back(of_byte_[static_cast<unsigned char>(c)]);
      words_.push_back(std::move(word));
    }
    for (size_t w = 0; w < words_.size(); ++w)
      for (size_t i = 0; i + 1 < words_[w].ids.size(); ++i)
        change({words_[w].ids[i], words_[w].ids[i + 1]}, 1, static_cast<WordIndex>(w));
    queue_changed();
  }

  void run(size_t n_tokens) {
    while (out_.tokens.size() < n_tokens && !queue_.empty()) {
      Candidate best = queue_.top();
      queue_.pop();
      if (const int64_t now = counts_[best.pair]; best.count != now) {
        best.count = now;
        queue_.push(std::move(best));
        continue;
      }
      if (best.count < 1) break;
      check_interrupt();
      const int32_t merged = token_of(best.pair);
      out_.merges.push_back(best.pair);
      for (const WordIndex w : best.words) merge(w, best.pair, merged);
      queue_changed();
    }
  }

 private:
  // Ids by the code points of the letters.
  void add_bytes() {
    std::array<int, 256> bytes;
    for (int byte = 0; byte < 256; ++byte) bytes[static_cast<size_t>(byte)] = byte;
    const auto letter = [](int byte) { return byte_letter(static_cast<uint8_t>(byte)); };
    std::sort(bytes.begin(), bytes.end(), [&](int a, int b) { return letter(a) < letter(b); });
    for (const int byte : bytes) {
      of_byte_[static_cast<size_t>(byte)] = static_cast<int32_t>(out_.tokens.size());
      add(std::string(letter(byte)));
    }
  }
  int32_t add(std::string token) {
    const auto id = static_cast<int32_t>(out_.tokens.size());
    ids_.emplace(token, id);
    out_.tokens.push_back(std::move(token));
    return id;
  }
  // Two ways may lead to the same token.
  int32_t token_of(const Pair& pair) {
    std::string token = out_.tokens[static_cast<size_t>(pair.first)] +
                        out_.tokens[static_cast<size_t>(pair.second)];
    const auto found = ids_.find(token);
    return found != ids_.end() ? found->second : add(std::move(token));
  }
  void change(const Pair& pair, int64_t times, WordIndex w) {
    counts_[pair] += times * words_[static_cast<size_t>(w)].count;
    if (times < 0) return;
    std::vector<WordIndex>& words = came_up_[pair];
    if (words.empty() || words.back() != w) words.push_back(w);
  }
  void merge(WordIndex w, const Pair& pair, int32_t merged) {
    std::vector<int32_t>& ids = words_[static_cast<size_t>(w)].ids;
    size_t kept = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] != pair.first || i + 1 == ids.size() || ids[i + 1] != pair.second) {
        ids[kept++] = ids[i];
        continue;
      }
      if (kept > 0) {
        change({ids[kept - 1], pair.first}, -1, w);
        change({ids[kept - 1], merged}, 1, w);
      }
      ids[kept++] = merged;
      if (++i + 1 < ids.size()) {
        change({pair.second, ids[i + 1]}, -1, w);
        change({merged, ids[i + 1]}, 1, w);
      }
    }
    ids.resize(kept);
  }
  void queue_changed() {
    for (auto& [pair, words] : came_up_)
      if (const int64_t count = counts_[pair]; count > 0)
        queue_.push({count, pair, std::move(words)});
    came_up_.clear();
  }

  BpeVocabulary& out_;
  std::array<int32_t, 256> of_byte_{};
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, int64_t, PairHash> counts_;
  std::unordered_map<Pair, std::vector<WordIndex>, PairHash> came_up_;  // since the last merge
  std::priority_queue<Candidate> queue_;
};

// Where the first megabyte or more of a text can end: no word has a letter and then a new line.
size_t part_end(std::string_view text) {
  constexpr size_t kPartBytes = 1 << 20;
  for (size_t at = kPartBytes; at < text.size(); ++at) {
    const char before = static_cast<char>(text[at - 1] | 0x20);
    if (text[at] == '\n' && before >= 'a' && before <= 'z') return at;
  }
  return text.size();
}

}  // namespace

void BpeTrainer::add(std::string_view text) {
  PreTokenizer splitter;
  splitter.steps.emplace_back(Split{Gpt2Words{}});
  AlignedText aligned;
  std::vector<ByteRange> words;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, part_end(text));
    text.remove_prefix(part.size());
    aligned.assign(part);
    words.clear();
    splitter.apply(aligned, {true, false}, words);
    for (const ByteRange word : words)
      ++words_[std::string(aligned.text().substr(word.begin, word.end - word.begin))];
  }
}

BpeVocabulary BpeTrainer::train(int64_t n_tokens) const {
  DSRASQ_CHECK(n_tokens >= kLeastTokens && n_tokens < kMaxTokenIds, kInvalidArgument,
               "text.bpe_trainer", "a vocabulary of ", n_tokens, " tokens: want at least ",
               kLeastTokens, ", one for every byte and the end of a text");
  BpeVocabulary vocabulary{.tokens = {kEndOfText}, .merges = {}};
  Merger(words_, vocabulary).run(static_cast<size_t>(n_tokens));
  return vocabulary;
}

void write_tokenizer(const std::filesystem::path& folder, const BpeVocabulary& vocabulary) {
  using nlohmann::ordered_json;
  const ordered_json byte_level{{"type", "ByteLevel"},
                                {"add_prefix_space", false},
                                {"trim_offsets", true},
                                {"use_regex", true}};
  ordered_json ids = ordered_json::object(), merges = ordered_json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) ids[vocabulary.tokens[id]] = id;
  for (const auto& [left, right] : vocabulary.merges)
    merges.push_back(ordered_json::array({vocabulary.tokens[static_cast<size_t>(left)],
                                          vocabulary.tokens[static_cast<size_t>(right)]}));
  const ordered_json end{{"id", 0},
                         {"content", BpeTrainer::kEndOfText},
                         {"single_word", false},
                         {"lstrip", false},
                         {"rstrip", false},
                         {"normalized", false},
                         {"special", true}};
  const ordered_json tokenizer{{"version", "1.0"},
                               {"truncation", nullptr},
                               {"padding", nullptr},
                               {"added_tokens", ordered_json::array({end})},
                               {"normalizer", nullptr},
                               {"pre_tokenizer", byte_level},
                               {"post_processor", nullptr},
                               {"decoder", byte_level},
                               {"model",
                                {{"type", "BPE"},
                                 {"dropout", nullptr},
                                 {"unk_token", nullptr},
                                 {"continuing_subword_prefix", nullptr},
                                 {"end_of_word_suffix", nullptr},
                                 {"fuse_unk", false},
                                 {"byte_fallback", false},
                                 {"ignore_merges", false},
                                 {"vocab", ids},
                                 {"merges", merges}}}};
  const ordered_json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
                            {"eos_token", BpeTrainer::kEndOfText}};
  write_file(folder / "tokenizer_config.json", config.dump(2) + '\n');
  write_file(folder / "tokenizer.json", tokenizer.dump() + '\n');
}

}  // namespace dsrasq::text
