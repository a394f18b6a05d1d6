#include "dsrasq/eval/attention_rag.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "dsrasq/core/error.h"
#include "dsrasq/core/process.h"
#include "dsrasq/eval/task_answer.h"
#include "dsrasq/policy/attention_probe.h"

namespace dsrasq::eval {
namespace {

using View = std::string_view;

constexpr int64_t kStartTokens = 32;  // most of a rewritten question
constexpr const char* kExamples =
    "Rewrite each question as the beginning of the sentence that answers it. Write None where the "
    "answer is yes or no.\n\n"
    "Question: Where was the composer of the opera born?\n"
    "Beginning: The composer of the opera was born in\n\n"
    "Question: Who wrote the letter to the king?\n"
    "Beginning: The letter to the king was written by\n\n"
    "Question: How many ships sank in the storm?\n"
    "Beginning: The number of ships that sank in the storm is\n\n"
    "Question: Is the bridge older than the church?\n"
    "Beginning: None\n\n"
    "Question: ";

std::string lower(View text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

bool begins_with_none(View text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  return lower(text.substr(0, 4)) == "none";
}

// Reads tokens with the model as it is published.
class ProbedText {
 public:
  explicit ProbedText(const session::Engine& engine)
      : model_(engine.model()), probe_(model_.shape(), model_.device()) {}

  void read(const std::vector<int32_t>& ids) {
    const at::Tensor all = at::tensor(ids, at::kInt).to(at::kLong);
    for (int64_t done = 0; done < all.size(0);) {
      check_interrupt();
      const int64_t n = probe_.policy().admit(all.size(0) - done);
      last_ = model_.forward(all.narrow(0, done, n), probe_.policy()).narrow(0, n - 1, 1);
      done += n;
    }
  }
  int32_t likeliest() const {
    return static_cast<int32_t>(at::argmax(model_.logits(last_)).item<int64_t>());
  }
  /// Attention of the last token to n tokens from `first` on.
  at::Tensor last_attention(int64_t first, int64_t n) const {
    return probe_.last_attention().narrow(0, first, n);
  }
  uint64_t bytes() { return probe_.policy().bytes(); }

 private:
  const model::Transformer& model_;
  policy::AttentionProbe probe_;
  at::Tensor last_;  // [1, E]
};

}  // namespace

struct ContextPruner::Chunk {
  std::vector<text::TokenSpan> tokens;  // offsets are of the whole context
  View text;
  std::string kept{};
};

bool asks_yes_or_no(View question) {
  constexpr std::array<View, 22> kAuxiliaries{"am",    "is",   "are",   "was",   "were",   "do",
                                              "does",  "did",  "has",   "have",  "had",    "can",
                                              "could", "will", "would", "shall", "should", "may",
                                              "might", "must", "isn't", "aren't"};
  question.remove_prefix(std::min(question.find_first_not_of(" \t\r\n\"'"), question.size()));
  const std::string first = lower(question.substr(0, question.find_first_of(" \t\r\n,?")));
  return std::find(kAuxiliaries.begin(), kAuxiliaries.end(), first) != kAuxiliaries.end();
}

std::string sentences_with(View text, const std::vector<size_t>& bytes) {
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of(".!?\n", begin), text.size() - 1) + 1;
    const bool has_any = std::any_of(bytes.begin(), bytes.end(),
                                     [&](size_t byte) { return byte >= begin && byte < end; });
    if (has_any) kept += text.substr(begin, end - begin);
    begin = end;
  }
  return kept;
}

std::string ContextPruner::answer_start(const std::string& question) const {
  if (asks_yes_or_no(question)) return "";
  session::Session session(engine_, {.name = "full"});
  session.read(engine_.tokenizer().encode(concat(kExamples, question, "\nBeginning:")));
  const std::string start = write_answer(session, {.first_line = true}, kStartTokens).text;
  return begins_with_none(start) ? "" : start;
}

// Fills in what stays of the chunk; false where nothing does.
bool ContextPruner::keep(Chunk& chunk, const std::string& question, const std::string& start,
                         bool is_only, uint64_t& cache_bytes) const {
  const text::Tokenizer& tokenizer = engine_.tokenizer();
  const std::string hint =
      start.empty() ? "If there is no useful information in the context, just answer none."
                    : concat("You should answer begin with ", start, ", if there is no useful ",
                             "information in the context, just answer ", start, " none.");
  std::vector<int32_t> ids;
  const auto add = [&](const std::string& text) {
    const std::vector<int32_t> more = tokenizer.encode(text);
    ids.insert(ids.end(), more.begin(), more.end());
  };
  if (const auto bos = tokenizer.bos(); bos && tokenizer.adds_bos()) ids.push_back(*bos);
  add("You will be given a long context begin with 'Context:', a question begin with 'Question:', "
      "and a hint begin with 'Hint:'. Please answer the question.\nContext: ");
  const auto first = static_cast<int64_t>(ids.size());
  for (const text::TokenSpan& token : chunk.tokens) ids.push_back(token.id);
  add(concat("\nHint: ", hint, "\nQuestion: ", question,
             "\nAnswer:", start.empty() ? "" : " " + start));
  ProbedText text(engine_);
  text.read(ids);
  const int32_t next = text.likeliest();
  if (begins_with_none(tokenizer.decode(std::span(&next, 1)))) {
    if (is_only) chunk.kept = chunk.text;
    return is_only;
  }
  text.read({next});
  cache_bytes = std::max(cache_bytes, text.bytes());
  const auto n = static_cast<int64_t>(chunk.tokens.size());
  const at::Tensor attention = text.last_attention(first, n);
  const at::Tensor best = std::get<1>(at::topk(attention, std::min(n, kTopTokens))).contiguous();
  std::vector<size_t> bytes;
  for (int64_t i = 0; i < best.numel(); ++i) {
    const auto at = static_cast<size_t>(best.const_data_ptr<int64_t>()[i]);
    bytes.push_back(chunk.tokens[at].begin - chunk.tokens.front().begin);
  }
  chunk.kept = sentences_with(chunk.text, bytes);
  return true;
}

ContextPruner::Pruned ContextPruner::prune(const std::string& context,
                                           const std::string& question) const {
  const std::vector<text::TokenSpan> tokens = engine_.tokenizer().encode_with_offsets(context);
  const std::string start = answer_start(question);
  const auto n = static_cast<int64_t>(tokens.size());
  Pruned pruned;
  for (int64_t begin = 0; begin < n; begin += kChunkTokens) {
    const int64_t end = std::min(n, begin + kChunkTokens);
    Chunk chunk{{tokens.begin() + begin, tokens.begin() + end}, {}};
    const size_t from = chunk.tokens.front().begin, to = chunk.tokens.back().end;
    chunk.text = View(context).substr(from, to - from);
    if (!keep(chunk, question, start, n <= kChunkTokens, pruned.cache_bytes)) continue;
    if (!pruned.context.empty()) pruned.context += '\n';
    pruned.context += chunk.kept;
  }
  return pruned;
}

}  // namespace dsrasq::eval
