#include "cli/train_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

namespace dsrasq::cli {
namespace {

using Json = nlohmann::ordered_json;

Json score_json(const train::RetrieverScore& score) {
  return {{"captured64", score.captured64},
          {"ideal64", score.ideal64},
          {"captured256", score.captured256},
          {"ideal256", score.ideal256},
          {"recall64", score.recall64},
          {"recall_ideal64", score.recall_ideal64},
          {"kl", score.kl}};
}

Json score_json(const train::JointScore& score) {
  Json json{{"kl", score.kl},
            {"perplexity", score.perplexity},
            {"full_attention_perplexity", score.teacher_perplexity},
            {"mean_retrieved", score.picked}};
  if (score.teacher_answer_nll > 0) {
    json["answer_nll"] = score.answer_nll;
    json["full_attention_answer_nll"] = score.teacher_answer_nll;
  }
  if (score.teacher_recall_nll > 0) {
    json["recall_nll"] = score.recall_nll;
    json["full_attention_recall_nll"] = score.teacher_recall_nll;
  }
  return json;
}

Json rules_json(const std::vector<train::RuleScore>& rules) {
  Json list = Json::array();
  for (const train::RuleScore& rule : rules) {
    list.push_back({{"rule", rule.rule}});
    list.back().update(score_json(rule.score));
  }
  return list;
}

Json plan_json(const train::JointPlan& plan) {
  return {{"dry_run", true},
          {"parameters", plan.n_parameters},
          {"adapter_bytes", plan.adapter_bytes},
          {"checkpoint_bytes", plan.checkpoint_bytes},
          {"step_bytes", plan.step_bytes},
          {"step_seconds", plan.step_seconds},
          {"rl_step_seconds", plan.rl_step_seconds},
          {"total_seconds", plan.total_seconds}};
}

Json result_json(const train::JointResult& trained) {
  Json result{{"steps", trained.steps},
              {"loss", trained.loss},
              {"kl", trained.kl},
              {"tokens_per_s", trained.tokens_per_s},
              {"seconds", trained.seconds},
              {"adapter", trained.adapter},
              {"before", score_json(trained.before)},
              {"after", score_json(trained.after)}};
  if (!trained.rules.empty()) result["rules"] = rules_json(trained.rules);
  return result;
}

}  // namespace

std::string progress_text(const train::TrainProgress& progress) {
  char line[256];
  std::snprintf(
      line, sizeof line, "step %lld of %lld  loss %.4f  lr %.2e  %.0f tokens/s  %.0f s left",
      static_cast<long long>(progress.step), static_cast<long long>(progress.steps), progress.loss,
      progress.learning_rate, progress.tokens_per_s, progress.seconds_left);
  std::string text = line;
  if (progress.score) {
    std::snprintf(line, sizeof line,
                  "  held out: k=64 captures %.1f %% (ideal %.1f %%), recall %.1f %%",
                  100 * progress.score->captured64, 100 * progress.score->ideal64,
                  100 * progress.score->recall64);
    text += line;
  }
  return text;
}

std::string progress_text(const train::JointProgress& progress) {
  char line[256];
  std::snprintf(line, sizeof line,
                "step %lld of %lld  loss %.5f  KL %.5f  retrieved %.1f  %.0f tokens/s  %.0f s left",
                static_cast<long long>(progress.step), static_cast<long long>(progress.steps),
                progress.loss, progress.kl, progress.picked, progress.tokens_per_s,
                progress.seconds_left);
  std::string text = line;
  if (progress.score && progress.score->teacher_perplexity > 0) {
    const double change = progress.score->perplexity / progress.score->teacher_perplexity - 1;
    std::snprintf(line, sizeof line, "  held out: perplexity %+.2f %%, KL %.5f, retrieved %.1f",
                  100 * change, progress.score->kl, progress.score->picked);
    text += line;
    const auto add_nll = [&](const char* of, double ours, double teacher) {
      if (teacher <= 0) return;
      std::snprintf(line, sizeof line, ", %s %.3f (full attention %.3f)", of, ours, teacher);
      text += line;
    };
    add_nll("answers", progress.score->answer_nll, progress.score->teacher_answer_nll);
    add_nll("recall", progress.score->recall_nll, progress.score->teacher_recall_nll);
  }
  return text;
}

std::string progress_text(const train::StagedProgress& progress) {
  if (progress.warmup != nullptr) return "warmup: " + progress_text(*progress.warmup);
  return (progress.joint->is_policy_gradient ? "rl: " : "joint: ") + progress_text(*progress.joint);
}

Json plan_json(const train::TrainPlan& plan) {
  return {{"dry_run", true},
          {"indexers", plan.n_indexers},
          {"parameters", plan.n_parameters},
          {"adapter_bytes", plan.adapter_bytes},
          {"checkpoint_bytes", plan.checkpoint_bytes},
          {"step_bytes", plan.step_bytes},
          {"flops_per_step", plan.flops},
          {"step_seconds", plan.step_seconds},
          {"total_seconds", plan.total_seconds}};
}

Json plan_json(const train::StagedPlan& plan) {
  if (!plan.warmup) return plan_json(*plan.joint);
  if (!plan.joint) return plan_json(*plan.warmup);
  Json result{{"dry_run", true},
              {"warmup", plan_json(*plan.warmup)},
              {"joint", plan_json(*plan.joint)},
              {"total_seconds", plan.total_seconds}};
  for (const char* stage : {"warmup", "joint"}) result[stage].erase("dry_run");
  return result;
}

Json result_json(const train::TrainResult& trained) {
  return {{"steps", trained.steps},
          {"loss", trained.loss},
          {"tokens_per_s", trained.tokens_per_s},
          {"seconds", trained.seconds},
          {"adapter", trained.adapter},
          {"score", score_json(trained.score)}};
}

Json result_json(const train::StagedResult& trained) {
  if (!trained.joint) return result_json(*trained.warmup);
  Json result = result_json(*trained.joint);
  if (trained.warmup) result["warmup"] = result_json(*trained.warmup);
  return result;
}

}  // namespace dsrasq::cli
