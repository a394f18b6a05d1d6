#include "dsrasq/train/corpus_parts.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "dsrasq/core/hash.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/documents.h"

namespace dsrasq::train {
namespace {

// The most bytes that each document may give so that all together give about `total`: short ones
// give everything, the others the same.
uint64_t equal_share(std::vector<uint64_t> sizes, uint64_t total) {
  std::sort(sizes.begin(), sizes.end());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const uint64_t share = total / (sizes.size() - i);
    if (sizes[i] > share) return share;
    total -= sizes[i];
  }
  return std::numeric_limits<uint64_t>::max();
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// At most `share` bytes from a third of the way in, cut between characters.
std::string_view part_of(std::string_view text, uint64_t share) {
  if (text.size() <= share) return text;
  size_t begin = (text.size() - share) / 3, end = begin + share;
  while (begin < text.size() && is_continuation(text[begin])) ++begin;
  while (end < text.size() && is_continuation(text[end])) ++end;
  return text.substr(begin, end - begin);
}

}  // namespace

CorpusParts::CorpusParts(std::filesystem::path corpus, uint64_t total_bytes)
    : corpus_(std::move(corpus)) {
  Fingerprint hash;
  data::DocumentReader reader(corpus_);
  while (const auto document = reader.next()) {
    check_interrupt();
    sizes_.push_back(document->text.size());
    hash.add(document->text);
  }
  fingerprint_ = hash.hex();
  share_ =
      total_bytes == 0 ? std::numeric_limits<uint64_t>::max() : equal_share(sizes_, total_bytes);
}

void CorpusParts::read(const std::function<void(std::string_view)>& visit) const {
  data::DocumentReader reader(corpus_);
  while (const auto document = reader.next()) {
    check_interrupt();
    visit(part_of(document->text, share_));
  }
}

}  // namespace dsrasq::train
