#include "dsrasq/eval/retrieval.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "dsrasq/eval/statistics.h"
#include "dsrasq/formats/test_folder.h"
#include "dsrasq/session/session.h"

namespace dsrasq::eval {
namespace {

using Json = nlohmann::ordered_json;
const char* const kModel = "tests/golden/models/text";

double figure_of(const std::vector<Score>& scores, const std::string& name) {
  const auto score =
      std::find_if(scores.begin(), scores.end(), [&](const Score& s) { return s.figure == name; });
  return find_figure(name)->value(score->statistics, 1);
}

TEST(RetrievalScores, ArePrecisionRecallAndTheirMean) {
  const auto scores = retrieval_scores({.n_sets = 2,
                                        .retrieved = 8,
                                        .oracle = 10,
                                        .oracle_common = 4,
                                        .mass = 0.3,
                                        .oracle_mass = 0.4,
                                        .fact_retrieved = 4,
                                        .fact_visible = 60,
                                        .facts = 6,
                                        .fact_common = 3},
                                       true);
  EXPECT_DOUBLE_EQ(figure_of(scores, "fact_precision"), 0.75);
  EXPECT_DOUBLE_EQ(figure_of(scores, "fact_recall"), 0.5);
  EXPECT_DOUBLE_EQ(figure_of(scores, "fact_f1"), 0.6);
  EXPECT_DOUBLE_EQ(figure_of(scores, "fact_chance"), 0.1);
  EXPECT_DOUBLE_EQ(figure_of(scores, "oracle_precision"), 0.5);
  EXPECT_DOUBLE_EQ(figure_of(scores, "oracle_recall"), 0.4);
  EXPECT_DOUBLE_EQ(figure_of(scores, "oracle_f1"), 0.4 / 0.9);
  EXPECT_DOUBLE_EQ(figure_of(scores, "oracle_mass"), 0.75);
  EXPECT_EQ(retrieval_scores({}, false).size(), 4u);
  EXPECT_DOUBLE_EQ(figure_of(retrieval_scores({}, true), "fact_f1"), 0);
}

/// Tells a counter what another policy's selector picks, and counts the same from sets.
class SetCounter final : public policy::SelectionObserver {
 public:
  SetCounter(RetrievalCounter& counter, const policy::SparsePolicy& policy,
             std::vector<bool> is_fact, int64_t first_query)
      : counter_(counter),
        mass_(policy.shape(), policy.options().sinks, policy.options().max_distance),
        is_fact_(std::move(is_fact)),
        first_query_(first_query) {}

  void selected(const policy::SelectionRequest& request,
                const policy::Selection& selection) override {
    counter_.selected(request, selection);
    mass_.keep_sinks(request);
    mass_.for_each_query(
        request, [&](int64_t query, std::span<const int32_t> slots, std::span<const float> mass) {
          if (request.first + query < first_query_ || slots.empty()) return;
          std::set<int64_t> picked, facts, oracle;
          std::vector<std::pair<float, int64_t>> order;
          for (int64_t i = 0; i < selection.counts[static_cast<size_t>(query)]; ++i)
            picked.insert(request.pool.position_of(
                selection.slots[static_cast<size_t>(query * selection.top_k + i)]));
          for (size_t i = 0; i < slots.size(); ++i) {
            const int64_t position = request.pool.position_of(slots[i]);
            order.emplace_back(-mass[i], position);
            if (is_fact_[static_cast<size_t>(position)]) facts.insert(position);
          }
          std::sort(order.begin(), order.end());
          order.resize(std::min(order.size(), static_cast<size_t>(selection.top_k)));
          for (const auto& [negative, position] : order) oracle.insert(position);
          add(picked, facts, oracle);
        });
  }

  RetrievalCounts want;

 private:
  static int64_t common(const std::set<int64_t>& a, const std::set<int64_t>& b) {
    return std::count_if(a.begin(), a.end(), [&](int64_t i) { return b.contains(i); });
  }
  void add(const std::set<int64_t>& picked, const std::set<int64_t>& facts,
           const std::set<int64_t>& oracle) {
    ++want.n_sets;
    want.retrieved += static_cast<int64_t>(picked.size());
    want.oracle += static_cast<int64_t>(oracle.size());
    want.oracle_common += common(picked, oracle);
    if (facts.empty()) return;
    want.fact_retrieved += static_cast<int64_t>(picked.size());
    want.facts += static_cast<int64_t>(facts.size());
    want.fact_common += common(picked, facts);
  }

  RetrievalCounter& counter_;
  policy::AttentionMass mass_;
  std::vector<bool> is_fact_;
  int64_t first_query_;
};

class RetrievalTest : public FolderTest {
 protected:
  Json run(const std::string& policies) const {
    return run_retrieval(engine_, {.name = policies, .window = 32, .top_k = 12}, options_);
  }
  // Three passages of which the second supports, and one question.
  std::string hotpot(const std::string& id) const {
    const auto passage = [](const std::string& title, const std::string& text) {
      Json sentences = Json::array();
      for (int i = 0; i < 4; ++i) sentences.push_back(text);
      return Json::array({title, sentences});
    };
    Json context = Json::array();
    context.push_back(passage("Ann", "Ann is from Rome. "));
    context.push_back(passage("Bo", "Bo sings in Ulm. "));
    context.push_back(passage("Cy", "Cy reads a book about ships. "));
    Json facts = Json::array();
    facts.push_back(Json::array({"Bo", 0}));
    Json record{{"_id", id}, {"question", "Where does Bo sing?"}, {"answer", "in Ulm"}};
    record["supporting_facts"] = facts;
    record["context"] = context;
    return record.dump();
  }
  void SetUp() override {
    FolderTest::SetUp();
    options_.data = {write("dev.json", "[" + hotpot("a") + "," + hotpot("b") + "]")};
  }

  const session::Engine engine_{{.model = kModel, .adapter = "none"}};
  RetrievalOptions options_;
};

TEST_F(RetrievalTest, CountsTheSetsOfTheQueriesFromTheQuestionOn) {
  std::vector<int32_t> ids(150);
  std::vector<bool> is_fact(150);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((7 * i + i * i) % 90 + 5);
  for (size_t i = 30; i < 60; ++i) is_fact[i] = true;
  for (const char* name : {"random", "recency", "oracle"}) {
    session::Session session(
        engine_, {.name = name, .window = 24, .sinks = 3, .top_k = 10, .pool = 64, .block = 32});
    auto& policy = dynamic_cast<policy::SparsePolicy&>(session.policy());
    RetrievalCounter counter(policy, is_fact, 60);
    SetCounter sets(counter, policy, is_fact, 60);
    policy.observe(&sets);
    session.read(ids);
    const RetrievalCounts& got = counter.counts();
    EXPECT_GT(got.n_sets, 0);
    EXPECT_EQ(got.n_sets, sets.want.n_sets) << name;
    EXPECT_EQ(got.retrieved, sets.want.retrieved) << name;
    EXPECT_EQ(got.oracle, sets.want.oracle) << name;
    EXPECT_EQ(got.oracle_common, sets.want.oracle_common) << name;
    EXPECT_EQ(got.fact_retrieved, sets.want.fact_retrieved) << name;
    EXPECT_EQ(got.facts, sets.want.facts) << name;
    EXPECT_EQ(got.fact_common, sets.want.fact_common) << name;
    EXPECT_LE(got.mass, got.oracle_mass * (1 + 1e-9)) << name;
  }
}

TEST_F(RetrievalTest, TheOracleAgreesWithItselfAndOthersDoNot) {
  const Json rows = run("oracle,recency")["rows"];
  ASSERT_EQ(rows.size(), 2u);
  for (const char* name : {"oracle_precision", "oracle_recall", "oracle_f1", "oracle_mass"}) {
    EXPECT_DOUBLE_EQ(rows[0][name].get<double>(), 1) << name;
    EXPECT_LT(rows[1][name].get<double>(), 1) << name;
    EXPECT_GT(rows[1][name].get<double>(), 0) << name;
  }
  EXPECT_GT(rows[0]["fact_recall"], 0);
  EXPECT_GT(rows[0]["fact_chance"], 0.1);
  EXPECT_EQ(rows[0]["fact_chance"], rows[1]["fact_chance"]);
  EXPECT_TRUE(rows[1].contains("oracle_mass_difference_interval"));
  EXPECT_DOUBLE_EQ(rows[0]["mean_retrieved"].get<double>(), 12);
  EXPECT_NEAR(rows[1]["cache_hit_rate"].get<double>(), 11.0 / 12, 1e-12);
}

TEST_F(RetrievalTest, GoesOnFromItsPredictions) {
  options_.predictions = (folder_ / "sets.jsonl").string();
  const Json first = run("random,recency"), again = run("random,recency");
  EXPECT_EQ(first["samples"].size(), 4u);
  EXPECT_EQ(again, first);
}

TEST_F(RetrievalTest, RefusesPoliciesThatRetrieveNothingAndOtherData) {
  const auto refusal = [&](const std::string& policies) {
    return error_text([&] { run(policies); }, ErrorCode::kInvalidArgument);
  };
  EXPECT_HAS(refusal("recency,full"), "policy 'full' retrieves nothing from a pool");
  EXPECT_HAS(refusal("recency:pool=0"), "its topk is 12 and its pool 0");
  options_.data = {write("r.jsonl", R"({"input": "a", "outputs": ["b"]})")};
  EXPECT_HAS(refusal("recency"), "eval retrieval does not do ruler data");
}

}  // namespace
}  // namespace dsrasq::eval
