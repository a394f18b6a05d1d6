#include "dsrasq/eval/stretches.h"

#include <algorithm>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/data/documents.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInStretches = "eval.stretches";

bool has_middle(int64_t n_tokens, int64_t length) { return n_tokens / 3 * 2 > length; }

// How many of the samples each text gets: one each in turn, as long as they do not overlap.
std::vector<int64_t> share_out(const std::vector<int64_t>& text_tokens, int64_t length,
                               int64_t n_samples) {
  int64_t n_fitting = 0;
  for (const int64_t tokens : text_tokens) n_fitting += tokens / length;
  DSRASQ_CHECK(n_fitting >= n_samples, kInvalidArgument, kInStretches, "the texts hold ", n_fitting,
               " stretches of ", length, " tokens that do not overlap, want ", n_samples);
  std::vector<int64_t> counts(text_tokens.size());
  for (int64_t left = n_samples; left > 0;) {
    for (size_t i = 0; i < counts.size() && left > 0; ++i) {
      if (counts[i] >= text_tokens[i] / length) continue;
      ++counts[i];
      --left;
    }
  }
  return counts;
}

}  // namespace

std::vector<std::pair<size_t, int64_t>> place_stretches(const std::vector<int64_t>& text_tokens,
                                                        int64_t length, int64_t n_samples) {
  DSRASQ_CHECK(length > 1, kInvalidArgument, kInStretches, "length is ", length,
               ", want 2 or more");
  DSRASQ_CHECK(n_samples > 0, kInvalidArgument, kInStretches, "samples is ", n_samples,
               ", want 1 or more");
  std::vector<std::pair<size_t, int64_t>> places;
  for (size_t i = 0; i < text_tokens.size(); ++i)
    if (has_middle(text_tokens[i], length)) places.emplace_back(i, text_tokens[i] / 3);
  if (static_cast<int64_t>(places.size()) >= n_samples) {
    places.resize(static_cast<size_t>(n_samples));
    return places;
  }
  places.clear();
  const std::vector<int64_t> counts = share_out(text_tokens, length, n_samples);
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t room = text_tokens[i] - length, n = counts[i];
    for (int64_t part = 0; part < n; ++part)
      places.emplace_back(i, n > 1 ? room * part / (n - 1) : std::min(room, text_tokens[i] / 3));
  }
  return places;
}

std::vector<Stretch> read_stretches(const std::vector<std::string>& files,
                                    const text::Tokenizer& tokenizer, int64_t length,
                                    int64_t n_samples) {
  DSRASQ_CHECK(!files.empty(), kInvalidArgument, kInStretches, "no text file was named");
  const std::vector<int32_t> start = tokenizer.encode("", {.add_bos = tokenizer.adds_bos()});
  const int64_t n_text = length - static_cast<int64_t>(start.size());
  std::vector<std::string> names;
  std::vector<std::vector<int32_t>> texts;
  std::vector<int64_t> text_tokens;
  int64_t n_with_middle = 0;
  for (const std::string& file : files) {
    data::DocumentReader reader(file);
    while (n_with_middle < n_samples) {
      check_interrupt();
      const std::optional<data::Document> document = reader.next();
      if (!document) break;
      names.push_back(document->name);
      texts.push_back(tokenizer.encode(document->text, {.add_bos = false}));
      text_tokens.push_back(static_cast<int64_t>(texts.back().size()));
      n_with_middle += has_middle(text_tokens.back(), n_text);
    }
  }
  std::vector<Stretch> stretches;
  for (const auto& [text, first] : place_stretches(text_tokens, n_text, n_samples)) {
    Stretch stretch{.source = names[text], .first = first, .ids = start};
    const auto begin = texts[text].begin() + first;
    stretch.ids.insert(stretch.ids.end(), begin, begin + n_text);
    stretches.push_back(std::move(stretch));
  }
  return stretches;
}

}  // namespace dsrasq::eval
