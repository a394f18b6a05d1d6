// Against tests/golden/metrics, which tools/make_golden_metrics.py made with the reference
// packages.

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "dsrasq/core/file.h"
#include "dsrasq/metrics/answer_match.h"
#include "dsrasq/metrics/babi.h"
#include "dsrasq/metrics/bleu.h"
#include "dsrasq/metrics/intl_class.h"
#include "dsrasq/metrics/multirc.h"
#include "dsrasq/metrics/porter_stemmer.h"
#include "dsrasq/metrics/python_text.h"
#include "dsrasq/metrics/rouge.h"
#include "dsrasq/metrics/rouge_longbench.h"
#include "dsrasq/metrics/string_match.h"

namespace dsrasq::metrics {
namespace {

using nlohmann::json;
using Numbers = std::vector<double>;

constexpr double kTolerance = 1e-6;

std::string golden_file(const std::string& name) {
  return read_file("tests/golden/metrics/" + name);
}

struct Pair {
  json expected;
  std::string prediction;
  std::vector<std::string> references;
};

std::string bytes_of_hex(const std::string& hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  return bytes;
}

const std::vector<Pair>& pairs() {
  static const std::vector<Pair> all = [] {
    std::vector<Pair> out;
    for (const json& row : json::parse(golden_file("pairs.json"))) {
      const bool is_hex = row.contains("prediction_hex");
      out.push_back(
          {row, is_hex ? bytes_of_hex(row.at("prediction_hex")) : std::string(row["prediction"]),
           row.at("references").get<std::vector<std::string>>()});
    }
    return out;
  }();
  return all;
}

void expect_near(const Numbers& found, const json& expected, const std::string& what) {
  const auto wanted = expected.get<Numbers>();
  ASSERT_EQ(found.size(), wanted.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], wanted[i], kTolerance) << what;
}

Numbers numbers_of(const RougeScores& scores) {
  Numbers out;
  for (const PrecisionRecall& one :
       {scores.rouge1, scores.rouge2, scores.rouge_l, scores.rouge_lsum})
    out.insert(out.end(), {one.precision, one.recall, one.fmeasure});
  return out;
}

Numbers numbers_of(const Bleu& score) {
  Numbers out{score.score};
  out.insert(out.end(), score.precisions.begin(), score.precisions.end());
  out.push_back(score.brevity_penalty);
  return out;
}

constexpr std::array<std::pair<const char*, BleuTokenizer>, 2> kTokenizers{
    {{"13a", BleuTokenizer::k13a}, {"intl", BleuTokenizer::kIntl}}};

TEST(Golden, HasEnoughPairs) { EXPECT_GE(pairs().size(), 200u); }

TEST(Golden, NormalizedAnswersAreThoseOfSquad) {
  for (const Pair& pair : pairs()) {
    if (!pair.expected.contains("normalized")) continue;
    EXPECT_EQ(normalized_answer(pair.prediction), pair.expected["normalized"].get<std::string>())
        << pair.expected.dump();
  }
}

TEST(Golden, ExactMatchAndF1AreThoseOfSquad) {
  for (const Pair& pair : pairs()) {
    expect_near({exact_match(pair.prediction, pair.references) ? 1.0 : 0.0,
                 answer_overlap(pair.prediction, pair.references).fmeasure},
                pair.expected["squad"], pair.expected.dump());
  }
}

TEST(Golden, RougeIsThatOfRougeScore) {
  for (const Pair& pair : pairs()) {
    expect_near(numbers_of(rouge(pair.prediction, pair.references, false)), pair.expected["rouge"],
                pair.expected.dump());
  }
}

TEST(Golden, StemmedRougeIsThatOfRougeScore) {
  for (const Pair& pair : pairs()) {
    expect_near(numbers_of(rouge(pair.prediction, pair.references, true)),
                pair.expected["rouge_stem"], pair.expected.dump());
  }
}

TEST(Golden, LongBenchRougeIsThatOfRouge) {
  for (const Pair& pair : pairs()) {
    EXPECT_NEAR(rouge_longbench(pair.prediction, pair.references),
                pair.expected["longbench"].get<double>(), kTolerance)
        << pair.expected.dump();
  }
}

TEST(Golden, StringMatchIsThatOfRuler) {
  for (const Pair& pair : pairs()) {
    expect_near({string_match_all(pair.prediction, pair.references),
                 string_match_part(pair.prediction, pair.references) ? 1.0 : 0.0},
                pair.expected["ruler"], pair.expected.dump());
  }
}

TEST(Golden, BleuTokensAreThoseOfSacreBleu) {
  for (const Pair& pair : pairs()) {
    for (const auto& [name, tokenizer] : kTokenizers) {
      const std::string key = std::string("tokens_") + name;
      if (!pair.expected.contains(key)) continue;
      std::string joined;
      for (const std::string& token : bleu_tokens(pair.prediction, tokenizer))
        joined += (joined.empty() ? "" : " ") + token;
      EXPECT_EQ(joined, pair.expected[key].get<std::string>()) << pair.expected.dump();
    }
  }
}

TEST(Golden, BleuOfOneSampleIsThatOfSacreBleu) {
  for (const Pair& pair : pairs()) {
    for (const auto& [name, tokenizer] : kTokenizers) {
      expect_near(numbers_of(bleu(bleu_counts(pair.prediction, pair.references, tokenizer))),
                  pair.expected[std::string("bleu_") + name], pair.expected.dump());
    }
  }
}

TEST(Golden, CorpusBleuIsThatOfSacreBleu) {
  const json corpora = json::parse(golden_file("corpora.json"));
  ASSERT_FALSE(corpora.empty());
  for (const json& corpus : corpora) {
    for (const auto& [name, tokenizer] : kTokenizers) {
      BleuCounts counts;
      for (size_t i = corpus["begin"]; i < corpus["end"].get<size_t>(); ++i)
        counts += bleu_counts(pairs()[i].prediction, pairs()[i].references, tokenizer);
      expect_near(numbers_of(bleu(counts)), corpus[name], corpus.dump());
    }
  }
}

TEST(Golden, StemsAreThoseOfNltk) {
  std::istringstream lines(golden_file("stems.txt"));
  std::string word, stem;
  int n_words = 0;
  for (; lines >> word >> stem; ++n_words) EXPECT_EQ(porter_stem(word), stem) << word;
  EXPECT_GE(n_words, 3000);
}

TEST(Golden, EveryCodePointHasTheClassOfTheRegexModule) {
  constexpr char32_t kEnd = 0x110000;
  std::vector<IntlClass> expected(kEnd, IntlClass::kOther);
  std::istringstream lines(golden_file("intl_classes.txt"));
  uint32_t first = 0, last = 0;
  char letter = 0;
  while (lines >> std::hex >> first >> last >> letter) {
    for (uint32_t value = first; value <= last; ++value) {
      expected.at(value) = letter == 'N'   ? IntlClass::kNumber
                           : letter == 'P' ? IntlClass::kPunctuation
                                           : IntlClass::kSymbol;
    }
  }
  for (char32_t value = 0; value < kEnd; ++value)
    ASSERT_EQ(intl_class(value), expected[value]) << std::hex << static_cast<uint32_t>(value);
}

TEST(Golden, BabiAnswersAreJudgedAsInBabiLong) {
  for (const json& row : json::parse(golden_file("babi.json"))) {
    EXPECT_EQ(babi_correct(row["output"].get<std::string>(), row["target"].get<std::string>(),
                           row["question"].get<std::string>(), babi_labels(row["task"].get<int>())),
              row["correct"].get<bool>())
        << row.dump();
  }
}

TEST(Golden, MultiRcScoresAreThoseOfScikitLearn) {
  for (const json& row : json::parse(golden_file("multirc.json"))) {
    MultiRcCounts counts;
    for (const json& question : row["questions"])
      counts.add(question["chosen"].get<std::set<std::string>>(),
                 question["right"].get<std::set<std::string>>());
    EXPECT_NEAR(counts.f1a(), row["f1a"].get<double>(), kTolerance);
    EXPECT_NEAR(counts.exact_match(), row["em"].get<double>(), kTolerance);
  }
}

}  // namespace
}  // namespace dsrasq::metrics
