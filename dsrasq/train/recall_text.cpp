#include "dsrasq/train/recall_text.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <span>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr std::array kFirstNames{"Maren",  "Tobias", "Ilse",     "Rufus", "Odette",  "Casper",
                                 "Linnea", "Bram",   "Sunniva",  "Pavel", "Greta",   "Amos",
                                 "Yusra",  "Henrik", "Delphine", "Oskar", "Nadia",   "Wendel",
                                 "Priya",  "Lorcan", "Tamsin",   "Emeka", "Saoirse", "Milo"};
constexpr std::array kLastNames{
    "Holt",    "Varga",   "Penrose",  "Okafor", "Lindqvist", "Marsh",   "Delacroix", "Whitlow",
    "Santoro", "Brandt",  "Kerrigan", "Ashby",  "Novak",     "Quill",   "Hargrove",  "Tanaka",
    "Osei",    "Fenwick", "Roux",     "Thorne", "Bellamy",   "Iversen", "Castell",   "Moss"};
constexpr std::array kPlaces{"Aldermoor",   "Port Selwyn", "Greyfield",   "Tarnwick",
                             "Saint Ansel", "Lower Brill", "Kestrel Bay", "Dunhollow",
                             "Marchbank",   "Vellin",      "Ostrava",     "Harrowgate",
                             "Pinecross",   "Little Wend", "Corvane",     "Estermouth"};
constexpr std::array kThings{"stone",  "kettle", "barrel",   "lantern", "bench",  "trough",
                             "basket", "anvil",  "birdcage", "drum",    "ladder", "flowerpot"};
constexpr std::array kAdjectives{"blue",   "cracked", "rusty",  "oaken",   "striped", "crooked",
                                 "yellow", "hollow",  "marble", "painted", "heavy",   "broken"};
constexpr std::array kGoods{"salt", "wool", "copper", "cider", "tallow", "pepper", "slate", "hemp"};
constexpr std::array kMonths{"January", "March", "April", "June", "August", "October", "November"};
constexpr std::array kWords{"juniper", "harbour", "falcon",  "ember",   "thistle", "compass",
                            "meadow",  "copper",  "willow",  "anchor",  "saffron", "quarry",
                            "raven",   "cobalt",  "bramble", "tundra",  "velvet",  "orchard",
                            "flint",   "mistral", "clover",  "granite", "heron",   "cinder"};

template <class List>
std::string pick(const List& list, CounterRng& rng) {
  return list[static_cast<size_t>(rng.below(static_cast<int64_t>(list.size())))];
}

std::string person(CounterRng& rng) { return pick(kFirstNames, rng) + " " + pick(kLastNames, rng); }

std::string digits(int64_t n, CounterRng& rng) {
  std::string text(1, static_cast<char>('1' + rng.below(9)));
  while (static_cast<int64_t>(text.size()) < n) text += static_cast<char>('0' + rng.below(10));
  return text;
}

std::string letters(int64_t n, CounterRng& rng) {
  std::string text;
  for (int64_t i = 0; i < n; ++i) text += static_cast<char>('A' + rng.below(26));
  return text;
}

Fact key_fact(CounterRng& rng) {
  const std::string who = person(rng);
  const std::string where = "under the " + pick(kAdjectives, rng) + " " + pick(kThings, rng) +
                            " in " + pick(kPlaces, rng);
  return {who + " always kept the spare key " + where + ".",
          "And where did " + who + " keep the spare key? It was", " " + where};
}

Fact address_fact(CounterRng& rng) {
  const std::string who = person(rng);
  const std::string where =
      digits(rng.between(2, 4), rng) + " " + pick(kWords, rng) + " lane, " + pick(kPlaces, rng);
  return {"The parcel for " + who + " has to go to " + where + ".",
          "To which address must the parcel for " + who + " be sent? To", " " + where};
}

Fact dial_fact(CounterRng& rng) {
  const std::string place = pick(kPlaces, rng), owner = pick(kLastNames, rng);
  const std::string code = digits(2, rng) + "-" + digits(2, rng) + "-" + digits(2, rng);
  return {
      "The safe of the " + owner + " house in " + place + " opens when the dial is turned to " +
          code + ".",
      "How is the safe of the " + owner + " house in " + place + " opened? The dial is turned to",
      " " + code};
}

Fact ticket_fact(CounterRng& rng) {
  const std::string who = person(rng);
  const std::string code = letters(rng.between(2, 3), rng) + "-" + digits(rng.between(3, 5), rng);
  return {"On the ticket of " + who + " somebody had stamped " + code + ".",
          "What was stamped on the ticket of " + who + "? It said", " " + code};
}

Fact cargo_fact(CounterRng& rng) {
  const std::string ship = pick(kWords, rng), good = pick(kGoods, rng), place = pick(kPlaces, rng);
  const std::string count = digits(rng.between(3, 6), rng);
  return {"The ship called the " + ship + " left " + place + " on the " +
              std::to_string(rng.between(4, 20)) + "th of " + pick(kMonths, rng) + " carrying " +
              count + " sacks of " + good + ".",
          "How many sacks of " + good + " did the " + ship + " carry out of " + place +
              "? The book says",
          " " + count};
}

Fact watchword_fact(CounterRng& rng) {
  const std::string place = pick(kPlaces, rng), who = pick(kLastNames, rng);
  const std::string words = pick(kWords, rng) + " " + pick(kWords, rng) + " " + pick(kWords, rng);
  return {"At the gate of " + place + " captain " + who + " lets nobody pass without the words \"" +
              words + "\".",
          "What must be said to captain " + who + " at the gate of " + place + "? The words are \"",
          words};
}

Fact ledger_fact(CounterRng& rng) {
  const std::string who = person(rng);
  // Lengths of account numbers; not seven digits, which the needle benchmarks use.
  constexpr std::array<int64_t, 5> kLengths{5, 6, 8, 9, 10};
  const std::string account = digits(kLengths[static_cast<size_t>(rng.below(5))], rng);
  return {"In the ledger, the account of " + who + " stands under " + account + ".",
          "Under which entry does the ledger list the account of " + who + "? Under",
          " " + account};
}

using MakeFact = Fact (*)(CounterRng&);
constexpr std::array<MakeFact, 7> kFacts{key_fact,   address_fact,   dial_fact,  ticket_fact,
                                         cargo_fact, watchword_fact, ledger_fact};

// Tokens to put before token `at` of the text.
struct Insertion {
  int64_t at = 0;
  std::vector<int32_t> ids;
  TokenRange focus, answer;  // among `ids`
  int64_t statement = -1;    // what the focus recalls: this insertion, by its index ...
  TokenRange passage;        // ... or, without one, these tokens of the text
};

constexpr int64_t kShortestEcho = 24, kLongestEcho = 96;  // tokens

bool has_source(const RecallOptions& options) { return options.source.begin < options.source.end; }

// An early place, in a source with `length` tokens behind it where it has them, and one at least
// the minimum distance later, in n tokens.
std::pair<int64_t, int64_t> distant_places(int64_t n, int64_t length, const RecallOptions& options,
                                           CounterRng& rng) {
  const TokenRange source = options.source;
  const int64_t distance = options.min_distance;
  const int64_t first = has_source(options)
                            ? rng.between(source.begin, std::max(source.begin, source.end - length))
                            : rng.below(n - distance);
  return {first, rng.between(std::max(first + distance, options.first_return), n)};
}

void add_fact(int64_t n, const Encode& encode, const RecallOptions& options, CounterRng& rng,
              std::vector<Insertion>& insertions) {
  constexpr int64_t kQuestionTail = 4;  // the end of a question already looks for the answer
  const Fact fact = random_fact(rng);
  const auto [early, late] = distant_places(n, 0, options, rng);
  const auto statement = static_cast<int64_t>(insertions.size());
  insertions.push_back({.at = early, .ids = encode("\n\n" + fact.statement + "\n\n")});
  std::vector<int32_t> ids = encode("\n\n" + fact.question);
  const auto question_end = static_cast<int64_t>(ids.size());
  const std::vector<int32_t> answer = encode(fact.answer);
  ids.insert(ids.end(), answer.begin(), answer.end());
  const auto answer_end = static_cast<int64_t>(ids.size());
  const std::vector<int32_t> tail = encode(".\n\n");
  ids.insert(ids.end(), tail.begin(), tail.end());
  insertions.push_back(
      {.at = late,
       .ids = std::move(ids),
       .focus = {std::max<int64_t>(0, question_end - kQuestionTail), answer_end - 1},
       .answer = {question_end, answer_end},
       .statement = statement});
}

void add_echo(std::span<const int32_t> text, const RecallOptions& options, CounterRng& rng,
              std::vector<Insertion>& insertions) {
  constexpr int64_t kCue = 2;  // tokens after which a passage is known again
  const auto n = static_cast<int64_t>(text.size());
  const auto [early, late] = distant_places(n, kLongestEcho, options, rng);
  const int64_t end = has_source(options) ? options.source.end : late;
  const int64_t length = std::min(rng.between(kShortestEcho, kLongestEcho), end - early);
  const auto passage = text.subspan(static_cast<size_t>(early), static_cast<size_t>(length));
  insertions.push_back({.at = late,
                        .ids = {passage.begin(), passage.end()},
                        .focus = {kCue, length - 1},
                        .answer = {kCue + 1, length},
                        .passage = {early, early + length}});
}

// The insertions' indices by place in the text; those of one place in the order given.
std::vector<size_t> by_place(const std::vector<Insertion>& insertions) {
  std::vector<size_t> order(insertions.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return insertions[a].at < insertions[b].at; });
  return order;
}

RecallStretch merge(std::span<const int32_t> text, const std::vector<Insertion>& insertions) {
  RecallStretch out;
  std::vector<int64_t> begin(insertions.size());   // of each insertion in `out`
  std::vector<int64_t> position(text.size() + 1);  // of each token of the text in `out`
  size_t next = 0;
  const auto copy_to = [&](size_t end) {
    for (; next < end; ++next) {
      position[next] = static_cast<int64_t>(out.ids.size());
      out.ids.push_back(text[next]);
    }
  };
  const std::vector<size_t> order = by_place(insertions);
  for (const size_t i : order) {
    copy_to(static_cast<size_t>(insertions[i].at));
    begin[i] = static_cast<int64_t>(out.ids.size());
    out.ids.insert(out.ids.end(), insertions[i].ids.begin(), insertions[i].ids.end());
  }
  copy_to(text.size());
  position[text.size()] = static_cast<int64_t>(out.ids.size());

  for (const size_t i : order) {
    const Insertion& insertion = insertions[i];
    TokenRange source{position[static_cast<size_t>(insertion.passage.begin)],
                      position[static_cast<size_t>(insertion.passage.end)]};
    if (insertion.statement >= 0) {
      const auto statement = static_cast<size_t>(insertion.statement);
      source.begin = begin[statement];
      source.end = source.begin + static_cast<int64_t>(insertions[statement].ids.size());
    }
    for (int64_t f = insertion.focus.begin; f < insertion.focus.end; ++f) {
      out.focus.push_back(begin[i] + f);
      out.sources.push_back(source);
    }
    for (int64_t a = insertion.answer.begin; a < insertion.answer.end; ++a)
      out.answer.push_back(begin[i] + a);
  }
  return out;
}

}  // namespace

Fact random_fact(CounterRng& rng) {
  return kFacts[static_cast<size_t>(rng.below(static_cast<int64_t>(kFacts.size())))](rng);
}

int64_t planted_tokens(const RecallOptions& options) {
  constexpr int64_t kTokensPerFact = 120;
  return options.facts * kTokensPerFact + options.echoes * kLongestEcho;
}

RecallStretch plant_recall(const std::vector<int32_t>& text, const Encode& encode,
                           const RecallOptions& options, CounterRng& rng) {
  // Every insertion takes room from the end of the text, so places are drawn in what stays for
  // certain.
  const int64_t n = static_cast<int64_t>(text.size()) - planted_tokens(options);
  if (n <= options.min_distance) return {.ids = text};
  const auto kept = std::span(text).first(static_cast<size_t>(n));
  std::vector<Insertion> insertions;
  for (int64_t i = 0; i < options.facts; ++i) add_fact(n, encode, options, rng, insertions);
  for (int64_t i = 0; i < options.echoes; ++i) add_echo(kept, options, rng, insertions);
  RecallStretch out = merge(kept, insertions);
  const auto rest = std::span(text).subspan(static_cast<size_t>(n));
  out.ids.insert(out.ids.end(), rest.begin(), rest.end());
  out.ids.resize(text.size());
  const auto seen = [&](const std::vector<int64_t>& positions) {
    return static_cast<size_t>(
        std::lower_bound(positions.begin(), positions.end(), static_cast<int64_t>(text.size())) -
        positions.begin());
  };
  out.focus.resize(seen(out.focus));
  out.sources.resize(out.focus.size());
  out.answer.resize(seen(out.answer));
  return out;
}

}  // namespace dsrasq::train
