#include "dsrasq/train/joint_run.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "dsrasq/ops/rows.h"
#include "dsrasq/train/retriever_run.h"

namespace dsrasq::train {
namespace {

constexpr uint64_t kJointRowStream = 900000, kJointScoreStream = 3, kTaskScoreStream = 4,
                   kRecallScoreStream = 5;
constexpr double kFlopsUnit = 1e6;  // of lambda_comp

}  // namespace

JointRun::JointRun(const JointInput& input, const JointTrainOptions& options,
                   const StretchSampler& sampler)
    : input_(input),
      options_(options),
      sampler_(sampler),
      parameters_({input.train.model.shape(), input.train.model.config().n_ff}, input.adapter,
                  options, input.train.model.device()),
      retriever_loss_{.n_heads = parameters_.index_heads(),
                      .fake_quantise = options.fake_quantise,
                      .conditional_weight = options.conditional_weight},
      angles_(input.train.model.device()) {}

double JointRun::attention_flops(double tokens) const {
  const auto& shape = input_.train.model.shape();
  const auto width = static_cast<double>(shape.n_heads * shape.head_dim);
  const auto always = static_cast<double>(options_.window + options_.sinks + options_.slots);
  const auto scan = static_cast<double>(2 * parameters_.index_heads() * options_.length);
  return 4 * width * (always + tokens) + scan;
}

double JointRun::token_cost() const {
  const double flops = attention_flops(1) - attention_flops(0);
  return options_.lambda_ret + options_.lambda_comp * flops / kFlopsUnit;
}

JointRun::Reading JointRun::teach(const Stretch& stretch, CounterRng& rng, bool wants_targets) {
  const model::Transformer& model = input_.train.model;
  const auto n_tokens = static_cast<int64_t>(stretch.ids.size());
  Reading reading;
  reading.ids = at::tensor(stretch.ids, at::kInt).to(at::kLong).to(model.device(), true);
  const SampledRows rows = far_rows(
      stretch, {options_.rows, options_.window, options_.sinks, false}, model.device(), rng);
  TeacherPolicy::Visit visit;
  if (wants_targets)
    visit = [&](int64_t layer, const at::Tensor&, const AttentionTarget& target) {
      reading.targets[layer] = target;
    };
  // Beyond the trained context only clamped distances are ones that the model knows.
  TeacherPolicy teacher(model.shape(),
                        {.sinks = options_.sinks,
                         .window = options_.window,
                         .d_max = parameters_.d_max(),
                         .clamped_output = n_tokens > model.shape().context},
                        rows, angles_, std::move(visit));
  reading.states = model.forward(reading.ids, teacher);
  return reading;
}

StudentRules JointRun::rules() const {
  return {.window = options_.window,
          .sinks = options_.sinks,
          .top_k = options_.top_k,
          .pool = options_.pool,
          .thresholded = options_.thresholds,
          .counts_expected = counts_expected(),
          .horizon = options_.horizon,
          .horizon_block = options_.block};
}

StudentPolicy JointRun::student(const StudentRules& rules, StudentPolicy::Visit visit) {
  const StudentOptions options{.rules = rules,
                               .n_heads = parameters_.index_heads(),
                               .fake_quantise = options_.fake_quantise,
                               .d_max = parameters_.d_max(),
                               .block = options_.block};
  return {input_.train.model.shape(), options, parameters_.layers(), angles_, std::move(visit)};
}

// The warm-up's loss: what the student's input says about the teacher's attention.
void JointRun::calibrate(const Reading& reading, int64_t layer, const at::Tensor& x,
                         at::Tensor& loss) {
  const auto target = reading.targets.find(layer);
  if (target == reading.targets.end()) return;
  const at::NoGradGuard no_grad;
  const double share = 1 / static_cast<double>(reading.targets.size());
  const double weight = options_.retriever_weight * share / static_cast<double>(options_.batch);
  const retriever::IndexerParameters& indexer =
      *parameters_.layers()[static_cast<size_t>(layer)].indexer;
  loss.add_(indexer_loss(indexer, x.detach(), target->second, retriever_loss_, weight,
                         parameters_.indexer_gradient(layer)),
            share);
}

at::Tensor JointRun::learn(const Stretch& stretch, CounterRng& rng) {
  const bool is_local = rng.uniform() < options_.local_share;
  const bool has_pool = rng.uniform() < options_.pool_share;
  const bool calibrates = options_.retriever_weight > 0;
  const Reading reading = teach(stretch, rng, calibrates);
  at::Tensor retriever_loss = at::zeros({}, reading.states.options().dtype(at::kFloat));
  StudentRules rules = this->rules();
  if (is_local) rules.top_k = 0;
  if (!has_pool) rules.pool = 0;
  StudentPolicy policy = student(rules, [&](int64_t layer, const at::Tensor& x) {
    calibrate(reading, layer, x, retriever_loss);
  });

  const at::AutoGradMode with_gradients(true);
  const model::Transformer& model = input_.train.model;
  const at::Tensor states =
      model.adapted(parameters_.lora()).differentiable_forward(reading.ids, policy);
  // What a limited pool may have lost cannot be asked for.
  const double recall_weight = rules.pool > 0 || is_local ? 0 : options_.recall_weight;
  const double answer_weight = stretch.is_task ? options_.answer_weight : recall_weight;
  const TaskTerms terms = task_terms(model, states.detach(), reading.states, reading.ids,
                                     {.kl = options_.kl_weight,
                                      .ce = options_.ce_weight,
                                      .answer = answer_weight,
                                      .answer_tokens = stretch.answer},
                                     true);
  at::Tensor root = ops::at_least_float(states * terms.gradient).sum();
  at::Tensor expected = policy.expected();
  if (expected.defined()) root = root + expected * token_cost();
  if (root.requires_grad()) (root / static_cast<double>(options_.batch)).backward();

  const at::NoGradGuard no_grad;
  at::Tensor loss = terms.kl * options_.kl_weight + terms.student_nll * options_.ce_weight +
                    terms.answer_nll * answer_weight + retriever_loss * options_.retriever_weight;
  expected = expected.defined() ? expected.detach() : at::zeros_like(loss);
  loss = loss + expected * token_cost();
  tokens_read_ += static_cast<int64_t>(stretch.ids.size());
  std::vector<at::Tensor> metrics(kJointMetrics);
  metrics[kJointLoss] = loss;
  metrics[kJointKl] = terms.kl;
  metrics[kJointNll] = terms.student_nll;
  metrics[kJointTeacherNll] = terms.teacher_nll;
  metrics[kJointRetriever] = retriever_loss;
  metrics[kJointPicked] = policy.picked();
  metrics[kJointExpected] = expected;
  const double is_task = stretch.is_task ? 1 : 0;
  const double is_recall = stretch.is_task || stretch.answer.empty() ? 0 : 1;
  metrics[kJointAnswerNll] = terms.answer_nll * is_task;
  metrics[kJointAnswers] = at::full_like(loss, is_task);
  metrics[kJointRecallNll] = terms.answer_nll * is_recall;
  metrics[kJointRecalls] = at::full_like(loss, is_recall);
  for (at::Tensor& metric : metrics) metric = metric.to(at::kFloat);
  return at::stack(metrics);
}

at::Tensor JointRun::accumulate(int64_t step) {
  return share(sampler_.training_length(step), [&](int64_t index) {
    CounterRng rng(options_.seed, static_cast<uint64_t>(step),
                   kJointRowStream + static_cast<uint64_t>(index));
    return learn(sampler_.training(step, index), rng);
  });
}

at::Tensor JointRun::share(int64_t length, const std::function<at::Tensor(int64_t)>& learn) {
  for (ParameterGroup& group : parameters_.groups()) group.bank.gradient().zero_();
  at::Tensor sum;
  for (int64_t b = 0; b < options_.batch; ++b) {
    if (!input_.train.processes->has(b)) {
      count_tokens(length);
      continue;
    }
    const at::Tensor metrics = learn(b);
    sum = sum.defined() ? sum + metrics : metrics;
  }
  return sum / static_cast<double>(options_.batch);
}

JointScore JointRun::score() {
  return score([this] { return student(rules(), nullptr); });
}

// Held-out stretch `index`, read by a new student.
JointRun::Judged JointRun::judge(const Stretch& stretch, uint64_t index, uint64_t stream,
                                 const std::function<StudentPolicy()>& make_student) {
  CounterRng rng(options_.seed, index, stream);
  const Reading reading = teach(stretch, rng, false);
  StudentPolicy policy = make_student();
  const at::Tensor states =
      input_.train.model.adapted(parameters_.lora()).forward(reading.ids, policy);
  return {task_terms(input_.train.model, states, reading.states, reading.ids,
                     {.answer_tokens = stretch.answer}, false),
          policy.picked()};
}

JointScore JointRun::score(const std::function<StudentPolicy()>& make_student) {
  const at::NoGradGuard no_grad;
  at::Tensor sum;
  for (int64_t i = 0; i < options_.eval_stretches; ++i) {
    if (!input_.train.processes->has(i)) continue;
    const auto [terms, picked] = judge(sampler_.held_out(i, false), static_cast<uint64_t>(i),
                                       kJointScoreStream, make_student);
    const at::Tensor values = at::stack(
        {terms.kl, terms.student_nll, terms.teacher_nll, picked.to(terms.kl.scalar_type())});
    sum = sum.defined() ? sum + values : values;
  }
  if (options_.eval_stretches == 0) return {};
  if (!sum.defined()) sum = at::zeros({4});  // all stretches are other processes'
  JointScore score;
  const at::Tensor host =
      (sum / static_cast<double>(options_.eval_stretches)).to(at::kCPU, at::kDouble).contiguous();
  input_.train.processes->sum(host);
  const double* v = host.const_data_ptr<double>();
  score.kl = v[0];
  score.perplexity = std::exp(v[1]);
  score.teacher_perplexity = std::exp(v[2]);
  score.picked = v[3];
  score_answers(make_student, score);
  return score;
}

// Every process reads the same ones: they are few.
void JointRun::score_answers(const std::function<StudentPolicy()>& make_student,
                             JointScore& score) {
  const double share = 1 / static_cast<double>(options_.eval_stretches);
  for (int64_t i = 0; i < options_.eval_stretches; ++i) {
    const auto index = static_cast<uint64_t>(i);
    if (const std::optional<Stretch> task = sampler_.held_out_task(i)) {
      const TaskTerms terms = judge(*task, index, kTaskScoreStream, make_student).terms;
      score.answer_nll += terms.answer_nll.item<double>() * share;
      score.teacher_answer_nll += terms.teacher_answer_nll.item<double>() * share;
    }
    if (options_.recall_weight == 0) continue;
    const TaskTerms terms =
        judge(sampler_.held_out(i, true), index, kRecallScoreStream, make_student).terms;
    score.recall_nll += terms.answer_nll.item<double>() * share;
    score.teacher_recall_nll += terms.teacher_answer_nll.item<double>() * share;
  }
}

}  // namespace dsrasq::train
