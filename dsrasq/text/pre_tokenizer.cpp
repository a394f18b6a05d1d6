#include "dsrasq/text/pre_tokenizer.h"

#include <algorithm>

#include "dsrasq/text/char_class.h"
#include "dsrasq/text/split_pattern.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

// Appends the stretches of `text`, which begins at byte `offset` of the whole.
struct FindMatches {
  std::string_view text;
  uint32_t offset;
  std::vector<Match>& out;

  void operator()(const Gpt2Words&) const {
    for (uint32_t at = 0; at < text.size();) {
      const uint32_t end = gpt2_match_end(text, at);
      out.push_back({{offset + at, offset + end}, true});
      at = end;
    }
  }
  void operator()(const Llama3Words& words) const {
    for (uint32_t at = 0; at < text.size();) {
      const uint32_t end = llama3_match_end(text, at, words.max_digits);
      out.push_back({{offset + at, offset + end}, true});
      at = end;
    }
  }
  void operator()(const NumericChars&) const {
    uint32_t covered = 0;
    for (uint32_t at = 0; at < text.size();) {
      const CodePoint point = read_code_point(text, at);
      const uint32_t end = at + point.length;
      if (char_class(point.value) == CharClass::kNumber) {
        if (covered < at) out.push_back({{offset + covered, offset + at}, false});
        out.push_back({{offset + at, offset + end}, true});
        covered = end;
      }
      at = end;
    }
    if (covered < text.size())
      out.push_back({{offset + covered, offset + static_cast<uint32_t>(text.size())}, false});
  }
  void operator()(const Literal& literal) const {
    find_all_literal(literal.text, text, offset, out);
  }
  void operator()(const Regex& regex) const { regex.find_all(text, offset, out); }
};

// Joins neighbours: `joins(match, previous_is_match)` says whether one belongs to its predecessor.
template <class Joins>
void append_joined(const std::vector<Match>& matches, std::vector<ByteRange>& out, Joins joins) {
  bool previous_is_match = false;
  bool any = false;
  for (const Match& match : matches) {
    if (any && joins(match.is_match, previous_is_match)) {
      out.back().end = match.range.end;
    } else {
      out.push_back(match.range);
    }
    any = true;
    previous_is_match = match.is_match;
  }
}

// The same from the end: the first of a row of matches goes to what follows it.
void append_joined_with_next(const std::vector<Match>& matches, std::vector<ByteRange>& out) {
  const size_t first = out.size();
  bool next_is_match = false;
  for (size_t i = matches.size(); i-- > 0;) {
    const Match& match = matches[i];
    if (match.is_match && !next_is_match && out.size() > first) {
      out.back().begin = match.range.begin;
    } else {
      out.push_back(match.range);
    }
    next_is_match = match.is_match;
  }
  std::reverse(out.begin() + static_cast<std::ptrdiff_t>(first), out.end());
}

void append_split(const Split& split, const std::vector<Match>& matches,
                  std::vector<ByteRange>& out) {
  switch (split.behavior) {
    case SplitBehavior::kIsolated:
      for (const Match& match : matches) out.push_back(match.range);
      break;
    case SplitBehavior::kRemoved:
      for (const Match& match : matches)
        if (!match.is_match) out.push_back(match.range);
      break;
    case SplitBehavior::kContiguous:
      append_joined(matches, out, [](bool is, bool was) { return is == was; });
      break;
    case SplitBehavior::kMergedWithPrevious:
      append_joined(matches, out, [](bool is, bool was) { return is && !was; });
      break;
    case SplitBehavior::kMergedWithNext: append_joined_with_next(matches, out); break;
  }
}

class ApplyStep {
 public:
  ApplyStep(AlignedText& text, PreTokenizer::Place place, std::vector<ByteRange>& words)
      : text_(text), place_(place), words_(words) {}

  void operator()(const Split& split) {
    for (const ByteRange word : words_) {
      matches_.clear();
      const std::string_view part = text_.text().substr(word.begin, word.end - word.begin);
      std::visit(FindMatches{part, word.begin, matches_}, split.pattern);
      if (split.invert)
        for (Match& match : matches_) match.is_match = !match.is_match;
      append_split(split, matches_, next_);
    }
    take_next();
  }

  void operator()(const PrefixSpace&) {
    edit([&](ByteRange word) {
      if (text_.text()[word.begin] != ' ' && !continues(word)) text_.put(" ", at(word));
      text_.keep(word);
    });
  }

  void operator()(const Metaspace& step) {
    edit([&](ByteRange word) {
      const std::string_view part = text_.text().substr(word.begin, word.end - word.begin);
      const bool wanted = step.prepend == Metaspace::Prepend::kAlways ||
                          (step.prepend == Metaspace::Prepend::kFirst && starts_input(word));
      if (wanted && !continues(word) && part[0] != ' ' && !part.starts_with(step.replacement))
        text_.put(step.replacement, at(word));
      matches_.clear();
      find_all_literal(" ", part, word.begin, matches_);
      for (const Match& match : matches_) {
        if (match.is_match) {
          text_.put(step.replacement, match.range);
        } else {
          text_.keep(match.range);
        }
      }
    });
    if (step.split)
      (*this)(Split{Literal{step.replacement}, SplitBehavior::kMergedWithNext, false});
  }

 private:
  static ByteRange at(ByteRange word) { return {word.begin, word.begin}; }
  bool continues(ByteRange word) const { return place_.continues && word.begin == 0; }
  bool starts_input(ByteRange word) const { return place_.starts_input && word.begin == 0; }

  // Rewrites every word with `write`, and follows where it goes.
  template <class Write>
  void edit(Write write) {
    for (const ByteRange word : words_) {
      const uint32_t begin = text_.edited_size();
      write(word);
      next_.push_back({begin, text_.edited_size()});
    }
    text_.finish_edit();
    take_next();
  }

  void take_next() {
    std::erase_if(next_, [](ByteRange word) { return word.begin == word.end; });
    words_.swap(next_);
    next_.clear();
  }

  AlignedText& text_;
  PreTokenizer::Place place_;
  std::vector<ByteRange>& words_;
  std::vector<ByteRange> next_;
  std::vector<Match> matches_;
};

}  // namespace

SplitPattern make_split_pattern(std::string_view regex) {
  if (regex == kGpt2Pattern) return Gpt2Words{};
  if (regex == kLlama3Pattern) return Llama3Words{3};
  if (regex == kQwen2Pattern) return Llama3Words{1};
  return Regex(regex);
}

void PreTokenizer::apply(AlignedText& text, Place place, std::vector<ByteRange>& words) const {
  words.clear();
  if (text.size() == 0) return;
  words.push_back({0, text.size()});
  ApplyStep apply_step(text, place, words);
  for (const PreTokenizerStep& step : steps) std::visit(apply_step, step);
}

}  // namespace dsrasq::text
