#include "dsrasq/metrics/porter_stemmer.h"

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace dsrasq::metrics {
namespace {

using View = std::string_view;

// Words that the rules would get wrong.
constexpr std::array<std::pair<View, View>, 16> kIrregular{{{"sky", "sky"},
                                                            {"skies", "sky"},
                                                            {"dying", "die"},
                                                            {"lying", "lie"},
                                                            {"tying", "tie"},
                                                            {"news", "news"},
                                                            {"innings", "inning"},
                                                            {"inning", "inning"},
                                                            {"outings", "outing"},
                                                            {"outing", "outing"},
                                                            {"cannings", "canning"},
                                                            {"canning", "canning"},
                                                            {"howe", "howe"},
                                                            {"proceed", "proceed"},
                                                            {"exceed", "exceed"},
                                                            {"succeed", "succeed"}}};

bool is_vowel_letter(char c) { return View("aeiou").find(c) != View::npos; }

// Visits the letters in order with whether each is a consonant: y is one at the start of a word
// and after a vowel.
template <class Visit>
void visit_consonants(View word, const Visit& visit) {
  bool is_consonant = false;
  for (size_t i = 0; i < word.size(); ++i) {
    is_consonant = word[i] == 'y' ? i == 0 || !is_consonant : !is_vowel_letter(word[i]);
    visit(i, is_consonant);
  }
}

// Porter's m: how often a vowel is followed by a consonant.
int measure(View stem) {
  int m = 0;
  bool is_after_vowel = false;
  visit_consonants(stem, [&](size_t, bool is_consonant) {
    m += is_after_vowel && is_consonant;
    is_after_vowel = !is_consonant;
  });
  return m;
}

bool has_vowel(View stem) {
  bool found = false;
  visit_consonants(stem, [&](size_t, bool is_consonant) { found = found || !is_consonant; });
  return found;
}

// Of the last three letters, the last one first; false where there is no such letter.
std::array<bool, 3> last_consonants(View word) {
  std::array<bool, 3> last{};
  visit_consonants(word, [&](size_t i, bool is_consonant) {
    if (word.size() - 1 - i < last.size()) last[word.size() - 1 - i] = is_consonant;
  });
  return last;
}

bool ends_in_consonant(View word) { return last_consonants(word)[0]; }

bool ends_in_double_consonant(View word) {
  return word.size() >= 2 && word[word.size() - 1] == word[word.size() - 2] &&
         ends_in_consonant(word);
}

// Porter's *o: consonant, vowel, consonant other than w, x, y; here also a vowel and a consonant
// that are the whole word.
bool ends_in_short_syllable(View word) {
  const std::array<bool, 3> last = last_consonants(word);
  if (word.size() == 2) return last[0] && !last[1];
  return word.size() >= 3 && last[0] && !last[1] && last[2] &&
         View("wxy").find(word.back()) == View::npos;
}

// `suffix` becomes `replacement` if `condition` holds of what stands before it.
struct Rule {
  View suffix, replacement;
  bool (*condition)(View stem);
};

bool always(View) { return true; }
bool measures_1(View stem) { return measure(stem) > 0; }
bool measures_2(View stem) { return measure(stem) > 1; }

void replace_suffix(std::string& word, size_t suffix_size, View replacement) {
  word.resize(word.size() - suffix_size);
  word += replacement;
}

// Only the first rule whose suffix fits counts, whether its condition holds or not.
void apply_first(std::string& word, std::span<const Rule> rules) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    if (rule.condition(View(word).substr(0, word.size() - rule.suffix.size())))
      replace_suffix(word, rule.suffix.size(), rule.replacement);
    return;
  }
}

void drop_plural(std::string& word) {
  constexpr Rule kRules[] = {
      {"sses", "ss", always}, {"ies", "i", always}, {"ss", "ss", always}, {"s", "", always}};
  if (word.size() == 4 && word.ends_with("ies")) {
    replace_suffix(word, 3, "ie");
  } else {
    apply_first(word, kRules);
  }
}

void drop_ed_and_ing(std::string& word) {
  if (word.ends_with("ied")) return replace_suffix(word, 3, word.size() == 4 ? "ie" : "i");
  if (word.ends_with("eed")) {
    if (measure(View(word).substr(0, word.size() - 3)) > 0) word.pop_back();
    return;
  }
  const size_t n = word.ends_with("ed") ? 2 : word.ends_with("ing") ? 3 : 0;
  if (n == 0 || !has_vowel(View(word).substr(0, word.size() - n))) return;
  word.resize(word.size() - n);
  if (word.ends_with("at") || word.ends_with("bl") || word.ends_with("iz")) {
    word += 'e';
  } else if (ends_in_double_consonant(word)) {
    if (View("lsz").find(word.back()) == View::npos) word.pop_back();
  } else if (measure(word) == 1 && ends_in_short_syllable(word)) {
    word += 'e';
  }
}

void turn_y_into_i(std::string& word) {
  constexpr Rule kRules[] = {
      {"y", "i", [](View stem) { return stem.size() > 1 && ends_in_consonant(stem); }}};
  apply_first(word, kRules);
}

void shorten_double_suffixes(std::string& word) {
  constexpr Rule kRules[] = {{"ational", "ate", measures_1}, {"tional", "tion", measures_1},
                             {"enci", "ence", measures_1},   {"anci", "ance", measures_1},
                             {"izer", "ize", measures_1},    {"bli", "ble", measures_1},
                             {"alli", "al", measures_1},     {"entli", "ent", measures_1},
                             {"eli", "e", measures_1},       {"ousli", "ous", measures_1},
                             {"ization", "ize", measures_1}, {"ation", "ate", measures_1},
                             {"ator", "ate", measures_1},    {"alism", "al", measures_1},
                             {"iveness", "ive", measures_1}, {"fulness", "ful", measures_1},
                             {"ousness", "ous", measures_1}, {"aliti", "al", measures_1},
                             {"iviti", "ive", measures_1},   {"biliti", "ble", measures_1},
                             {"fulli", "ful", measures_1}};
  // The l of "logi" counts as part of the stem, for words like "geology".
  if (word.ends_with("logi")) {
    if (measures_1(View(word).substr(0, word.size() - 3))) word.pop_back();
    return;
  }
  if (word.ends_with("alli") && measures_1(View(word).substr(0, word.size() - 4)))
    word.resize(word.size() - 2);
  apply_first(word, kRules);
}

void drop_derivations(std::string& word) {
  constexpr Rule kRules[] = {{"icate", "ic", measures_1}, {"ative", "", measures_1},
                             {"alize", "al", measures_1}, {"iciti", "ic", measures_1},
                             {"ical", "ic", measures_1},  {"ful", "", measures_1},
                             {"ness", "", measures_1}};
  apply_first(word, kRules);
}

void drop_suffixes(std::string& word) {
  constexpr Rule kRules[] = {
      {"al", "", measures_2},
      {"ance", "", measures_2},
      {"ence", "", measures_2},
      {"er", "", measures_2},
      {"ic", "", measures_2},
      {"able", "", measures_2},
      {"ible", "", measures_2},
      {"ant", "", measures_2},
      {"ement", "", measures_2},
      {"ment", "", measures_2},
      {"ent", "", measures_2},
      {"ion", "",
       [](View stem) { return measures_2(stem) && (stem.back() == 's' || stem.back() == 't'); }},
      {"ou", "", measures_2},
      {"ism", "", measures_2},
      {"ate", "", measures_2},
      {"iti", "", measures_2},
      {"ous", "", measures_2},
      {"ive", "", measures_2},
      {"ize", "", measures_2}};
  apply_first(word, kRules);
}

void drop_final_e_and_l(std::string& word) {
  if (word.ends_with('e')) {
    const View stem = View(word).substr(0, word.size() - 1);
    const int m = measure(stem);
    if (m > 1 || (m == 1 && !ends_in_short_syllable(stem))) word.pop_back();
  }
  if (word.ends_with("ll") && measures_2(View(word).substr(0, word.size() - 1))) word.pop_back();
}

}  // namespace

std::string porter_stem(std::string_view word) {
  for (const auto& [form, stem] : kIrregular)
    if (word == form) return std::string(stem);
  std::string stem(word);
  if (word.size() <= 2) return stem;
  drop_plural(stem);
  drop_ed_and_ing(stem);
  turn_y_into_i(stem);
  shorten_double_suffixes(stem);
  drop_derivations(stem);
  drop_suffixes(stem);
  drop_final_e_and_l(stem);
  return stem;
}

}  // namespace dsrasq::metrics
