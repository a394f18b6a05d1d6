#pragma once

// Texts whose tokens are their bytes, for tests.

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/data/test_files.h"
#include "dsrasq/prepare/encoded_parts.h"
#include "dsrasq/text/tokenizer.h"

namespace dsrasq::prepare {

inline std::vector<text::TokenSpan> byte_spans(std::string_view text) {
  std::vector<text::TokenSpan> spans;
  for (size_t i = 0; i < text.size(); ++i)
    spans.push_back({static_cast<unsigned char>(text[i]), i, i + 1});
  return spans;
}

inline std::string text_of(const std::vector<int32_t>& ids) { return {ids.begin(), ids.end()}; }

/// A document begins where a text begins with '#'.
class ByteUnits : public UnitSource {
 public:
  explicit ByteUnits(std::vector<std::string> texts, uint64_t weight = 1)
      : texts_(std::move(texts)), weight_(weight) {}

  size_t size() const override { return texts_.size(); }
  uint64_t weight(size_t) const override { return weight_; }
  bool begins_document(size_t index) const override { return texts_[index].starts_with('#'); }
  EncodedUnit encode(size_t index) const override {
    ++n_encoded;
    EncodedUnit unit{{}, R"({"id":")" + texts_[index] + R"("})"};
    for (const text::TokenSpan& span : byte_spans(texts_[index])) unit.ids.push_back(span.id);
    return unit;
  }

  mutable std::atomic<int> n_encoded = 0;

 private:
  std::vector<std::string> texts_;
  uint64_t weight_;
};

}  // namespace dsrasq::prepare
