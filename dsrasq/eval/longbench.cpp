#include "dsrasq/eval/longbench.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/metrics/answer_match.h"
#include "dsrasq/metrics/rouge_longbench.h"

namespace dsrasq::eval {
namespace {

using View = std::string_view;
using Metric = LongBenchMetric;

// The wording is the benchmark's (dataset2prompt.json), its slips included.
constexpr View kPassagesBefore =
    "Answer the question based on the given passages. Only give me the answer and do not output "
    "any other words.\n\nThe following are given passages.\n";
constexpr View kPassagesAfter =
    "\n\nAnswer the question based on the given passages. Only give me the answer and do not "
    "output any other words.\n\nQuestion: {question}\nAnswer:";

constexpr std::array<LongBenchSet, 14> kSets{{
    {"narrativeqa",
     "You are given a story, which can be either a novel or a movie script, and a question. Answer "
     "the question asconcisely as you can, using a single phrase if possible. Do not provide any "
     "explanation.\n\nStory: ",
     "\n\nNow, answer the question based on the story asconcisely as you can, using a single "
     "phrase if possible. Do not provide any explanation.\n\nQuestion: {question}\n\nAnswer:",
     128, Metric::kF1},
    {"qasper",
     "You are given a scientific article and a question. Answer the question as concisely as you "
     "can, using a single phrase or sentence if possible. If the question cannot be answered based "
     "on the information in the article, write \"unanswerable\". If the question is a yes/no "
     "question, answer \"yes\", \"no\", or \"unanswerable\". Do not provide any "
     "explanation.\n\nArticle: ",
     "\n\n Answer the question based on the above article as concisely as you can, using a single "
     "phrase or sentence if possible. If the question cannot be answered based on the information "
     "in the article, write \"unanswerable\". If the question is a yes/no question, answer "
     "\"yes\", \"no\", or \"unanswerable\". Do not provide any explanation.\n\nQuestion: "
     "{question}\n\nAnswer:",
     128, Metric::kF1},
    {"multifieldqa_en", "Read the following text and answer briefly.\n\n",
     "\n\nNow, answer the following question based on the above text, only give me the answer and "
     "do not output any other words.\n\nQuestion: {question}\nAnswer:",
     64, Metric::kF1},
    {"hotpotqa", kPassagesBefore, kPassagesAfter, 32, Metric::kF1},
    {"2wikimqa", kPassagesBefore, kPassagesAfter, 32, Metric::kF1},
    {"musique", kPassagesBefore, kPassagesAfter, 32, Metric::kF1},
    {"gov_report",
     "You are given a report by a government agency. Write a one-page summary of the "
     "report.\n\nReport:\n",
     "\n\nNow, write a one-page summary of the report.\n\nSummary:", 512, Metric::kRouge},
    {"qmsum",
     "You are given a meeting transcript and a query containing a question or instruction. Answer "
     "the query in one or more sentences.\n\nTranscript:\n",
     "\n\nNow, answer the query based on the above meeting transcript in one or more "
     "sentences.\n\nQuery: {question}\nAnswer:",
     512, Metric::kRouge},
    {"multi_news",
     "You are given several news passages. Write a one-page summary of all news. \n\nNews:\n",
     "\n\nNow, write a one-page summary of all the news.\n\nSummary:", 512, Metric::kRouge},
    {"trec",
     "Please determine the type of the question below. Here are some examples of questions.\n\n",
     "\n{question}", 64, Metric::kClass, true},
    {"triviaqa",
     "Answer the question based on the given passage. Only give me the answer and do not output "
     "any other words. The following are some examples.\n\n",
     "\n\n{question}", 32, Metric::kF1, true},
    {"samsum",
     "Summarize the dialogue into a few short sentences. The following are some examples.\n\n",
     "\n\n{question}", 128, Metric::kRouge, true},
    {"passage_count",
     "There are some paragraphs below sourced from Wikipedia. Some of them may be duplicates. "
     "Please carefully read these paragraphs and determine how many unique paragraphs there are "
     "after removing duplicates. In other words, how many non-repeating paragraphs are there in "
     "total?\n\n",
     "\n\nPlease enter the final count of unique paragraphs after removing duplicates. The output "
     "format should only contain the number, such as 1, 2, 3, and so on.\n\nThe final answer is: ",
     32, Metric::kCount},
    {"passage_retrieval_en",
     "Here are 30 paragraphs from Wikipedia, along with an abstract. Please determine which "
     "paragraph the abstract is from.\n\n",
     "\n\nThe following is an abstract.\n\n{question}\n\nPlease enter the number of the paragraph "
     "that the abstract is from. The answer format must be like \"Paragraph 1\", \"Paragraph 2\", "
     "etc.\n\nThe answer is: ",
     32, Metric::kParagraph},
}};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// All runs of digits.
std::vector<View> numbers_in(View text) {
  std::vector<View> numbers;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end > at) numbers.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return numbers;
}

double number_score(View prediction, View right) {
  const std::vector<View> numbers = numbers_in(prediction);
  const auto n_right = std::count(numbers.begin(), numbers.end(), right);
  return numbers.empty() ? 0 : static_cast<double>(n_right) / static_cast<double>(numbers.size());
}

// The number behind the first "Paragraph " that has one.
View paragraph_number(View reference) {
  constexpr View kWord = "Paragraph ";
  for (size_t at = reference.find(kWord); at != View::npos; at = reference.find(kWord, at + 1)) {
    const View rest = reference.substr(at + kWord.size());
    const auto numbers = numbers_in(rest.substr(0, rest.find_first_not_of("0123456789")));
    if (!numbers.empty()) return numbers.front();
  }
  return {};
}

// The package takes classes out of its list while it walks through it, which passes over the one
// behind each that goes; so it is here.
double class_score(View prediction, const std::string& right,
                   const std::vector<data::TaskOption>& classes) {
  std::vector<View> named;
  for (const data::TaskOption& option : classes)
    if (prediction.find(option.text) != View::npos) named.push_back(option.text);
  for (size_t i = 0; i < named.size(); ++i) {
    const View name = named[i];
    if (right.find(name) != View::npos && name != right)
      named.erase(std::find(named.begin(), named.end(), name));
  }
  const bool has_right = std::find(named.begin(), named.end(), View(right)) != named.end();
  return has_right ? 1.0 / static_cast<double>(named.size()) : 0;
}

double score_of(Metric metric, const std::string& prediction, const std::string& reference,
                const data::TaskSample& sample) {
  const std::span<const std::string> references(&reference, 1);
  switch (metric) {
    case Metric::kF1: return metrics::answer_overlap(prediction, references).fmeasure;
    case Metric::kRouge: return metrics::rouge_longbench(prediction, references);
    case Metric::kClass: return class_score(prediction, reference, sample.options);
    case Metric::kParagraph: return number_score(prediction, paragraph_number(reference));
    case Metric::kCount: break;
  }
  return number_score(prediction, reference);
}

}  // namespace

const LongBenchSet& longbench_set(std::string_view name) {
  const View base = name.ends_with("_e") ? name.substr(0, name.size() - 2) : name;
  const auto found = std::find_if(kSets.begin(), kSets.end(),
                                  [&](const LongBenchSet& set) { return set.name == base; });
  if (found != kSets.end()) return *found;
  std::string names;
  for (const LongBenchSet& set : kSets) names += concat(names.empty() ? "" : ", ", set.name);
  throw Error(ErrorCode::kInvalidArgument, "eval.longbench",
              concat("LongBench's data set \"", name, "\" cannot be scored here, only ", names));
}

double longbench_score(const LongBenchSet& set, const std::string& prediction,
                       const data::TaskSample& sample) {
  double best = 0;
  for (const std::string& reference : sample.references)
    best = std::max(best, score_of(set.metric, prediction, reference, sample));
  return best;
}

}  // namespace dsrasq::eval
