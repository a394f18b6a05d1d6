#include "dsrasq/eval/needle.h"

#include <algorithm>
#include <cmath>
#include <random>

#include "dsrasq/core/error.h"
#include "dsrasq/eval/needle_words.h"
#include "dsrasq/eval/statistics.h"

namespace dsrasq::eval {
namespace {

constexpr const char* kInNeedle = "eval.needle";

// RULER's template for one key with one value.
constexpr std::string_view kHead =
    "A special magic number is hidden within the following text. Make sure to memorize it. I will "
    "quiz you about the number afterwards.\n";
std::string question(const std::string& key) {
  return "\nWhat is the special magic number for " + key +
         " mentioned in the provided text? The special magic number for " + key +
         " mentioned in the provided text is";
}
std::string sentence(const std::string& key, const std::string& value) {
  return "One of the special magic numbers for " + key + " is: " + value + ".";
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Runs of white space become one space, as RULER does with its essays.
void append_normalised(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (!is_space(c))
      out += c;
    else if (!out.empty() && out.back() != ' ')
      out += ' ';
  }
}

// True when a sentence ends with the text: a full stop, maybe followed by quotes or brackets.
bool ends_sentence(std::string_view text) {
  while (!text.empty() &&
         (is_space(text.back()) || text.back() == '"' || text.back() == '\'' || text.back() == ')'))
    text.remove_suffix(1);
  return !text.empty() && (text.back() == '.' || text.back() == '!' || text.back() == '?');
}

// Where text `first` is entered: after a sentence in its first half.
size_t random_begin(const std::string& text, std::mt19937_64& random) {
  const size_t stop = text.find(". ", random_below(random, text.size() / 2 + 1));
  return stop == std::string::npos ? 0 : stop + 2;
}

// At least `n_bytes` of text: number `index` from `begin` on, then the next ones, over and over.
std::string haystack_text(const std::vector<std::string>& texts, size_t index, size_t begin,
                          size_t n_bytes) {
  std::string out;
  append_normalised(std::string_view(texts[index]).substr(begin), out);
  while (out.size() < n_bytes) {
    index = (index + 1) % texts.size();
    if (!out.empty() && out.back() != ' ') out += ' ';
    append_normalised(texts[index], out);
  }
  // Not much more, and whole words.
  const size_t end = out.find(' ', n_bytes);
  if (end != std::string::npos) out.resize(end);
  return out;
}

// Numbers of tokens after which a sentence ends, with 0 and the whole.
std::vector<size_t> sentence_ends(const text::Tokenizer& tokenizer,
                                  const std::vector<int32_t>& ids) {
  std::vector<size_t> ends{0};
  for (size_t i = 0; i + 1 < ids.size(); ++i)
    if (ends_sentence(tokenizer.token_bytes(ids[i]))) ends.push_back(i + 1);
  ends.push_back(ids.size());
  return ends;
}

std::vector<int32_t> haystack(const text::Tokenizer& tokenizer,
                              const std::vector<std::string>& texts, int64_t n_tokens,
                              int64_t sample, std::mt19937_64& random) {
  const size_t index = static_cast<size_t>(sample) % texts.size();
  const size_t begin = random_begin(texts[index], random);
  const auto wanted = static_cast<size_t>(n_tokens);
  for (size_t n_bytes = wanted * 5;; n_bytes *= 2) {
    std::vector<int32_t> ids =
        tokenizer.encode(haystack_text(texts, index, begin, n_bytes), {.add_bos = false});
    if (ids.size() < wanted) continue;
    ids.resize(wanted);
    return ids;
  }
}

}  // namespace

NeedlePrompt make_needle(const text::Tokenizer& tokenizer, const std::vector<std::string>& texts,
                         int64_t length, int64_t sample, int64_t n_samples, uint64_t seed) {
  DSRASQ_CHECK(std::any_of(texts.begin(), texts.end(),
                           [](const std::string& text) {
                             return !std::all_of(text.begin(), text.end(), is_space);
                           }),
               kBadInput, kInNeedle, "there is no text to hide the needle in");
  std::seed_seq words{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32),
                      static_cast<uint32_t>(length), static_cast<uint32_t>(sample)};
  std::mt19937_64 random(words);
  NeedlePrompt prompt;
  prompt.depth =
      n_samples > 1
          ? std::round(100.0 * static_cast<double>(sample) / static_cast<double>(n_samples - 1))
          : 50;
  prompt.key = concat(kAdjectives[random_below(random, kAdjectives.size())], '-',
                      kNouns[random_below(random, kNouns.size())]);
  prompt.value = std::to_string(1000000 + random_below(random, 9000000));

  const auto encode = [&](std::string_view text) {
    return tokenizer.encode(text, {.add_bos = false});
  };
  const std::vector<int32_t> head = tokenizer.encode(kHead, {.add_bos = tokenizer.adds_bos()});
  const std::vector<int32_t> tail = encode(question(prompt.key));
  const std::string needle_text = sentence(prompt.key, prompt.value);
  // Both forms are made, so that the number of tokens is known before the place is.
  const std::vector<int32_t> at_start = encode(needle_text),
                             inside = encode(concat(' ', needle_text));
  const std::vector<int32_t>& needle = prompt.depth == 0 ? at_start : inside;
  const auto n_haystack = length - static_cast<int64_t>(head.size() + needle.size() + tail.size());
  DSRASQ_CHECK(n_haystack > 0, kInvalidArgument, kInNeedle, "length is ", length,
               " tokens, of which the question and the needle alone take ", length - n_haystack);

  const std::vector<int32_t> hay = haystack(tokenizer, texts, n_haystack, sample, random);
  const std::vector<size_t> ends = sentence_ends(tokenizer, hay);
  const auto n_sentences = static_cast<double>(ends.size() - 1);
  size_t place = ends[static_cast<size_t>(n_sentences * prompt.depth / 100)];
  if (prompt.depth > 0 && place == 0) place = ends[1];  // a short haystack has few sentences
  const auto cut = hay.begin() + static_cast<std::ptrdiff_t>(place);
  prompt.ids = head;
  prompt.ids.insert(prompt.ids.end(), hay.begin(), cut);
  prompt.ids.insert(prompt.ids.end(), needle.begin(), needle.end());
  prompt.ids.insert(prompt.ids.end(), cut, hay.end());
  prompt.question_at = prompt.ids.size();
  prompt.ids.insert(prompt.ids.end(), tail.begin(), tail.end());
  return prompt;
}

bool needle_found(std::string_view answer, std::string_view value) {
  return answer.find(value) != std::string_view::npos;
}

double digit_accuracy(std::string_view answer, std::string_view value) {
  if (value.empty() || needle_found(answer, value)) return 1;
  const std::string_view number =
      answer.substr(std::min(answer.size(), answer.find_first_of("0123456789")));
  const auto same = std::mismatch(number.begin(), number.end(), value.begin(), value.end());
  const auto n = same.first - number.begin();
  return static_cast<double>(n) / static_cast<double>(value.size());
}

}  // namespace dsrasq::eval
