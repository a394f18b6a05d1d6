#pragma once

// The steps of a joint training: what is computed with one stretch of text.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "dsrasq/train/joint_options.h"
#include "dsrasq/train/joint_parameters.h"
#include "dsrasq/train/stretch_sampler.h"
#include "dsrasq/train/task_loss.h"
#include "dsrasq/train/teacher_policy.h"
#include "dsrasq/train/train_input.h"

namespace dsrasq::train {

/// What the joint training works on. The model's weights are dense (`LoadOptions::packed` false).
struct JointInput {
  TrainInput train;
  const retriever::Adapter* adapter = nullptr;  ///< to start from; null: a fresh retriever
  std::string adapter_fingerprint;
};

/// Of a step, in this order in a tensor on the device.
enum JointMetric : int64_t {
  kJointLoss,
  kJointKl,          ///< to the teacher, mean over tokens
  kJointNll,         ///< the student's, of the text
  kJointTeacherNll,  ///< full attention's
  kJointRetriever,   ///< the warm-up's KL, mean over layers
  kJointPicked,      ///< |S|, mean over queries and layers
  kJointExpected,    ///< E|S|, where its cost is trained
  kJointAnswerNll,   ///< the student's, of an answer's tokens; 0 for a stretch without a task
  kJointAnswers,     ///< share of the stretches with a task
  kJointRecallNll,   ///< of recalled tokens; 0 for a stretch without planted recall
  kJointRecalls,     ///< share of the stretches with it
  kJointMetrics
};

/// On held-out text.
struct JointScore {
  double kl = 0;
  double perplexity = 0, teacher_perplexity = 0;
  double picked = 0;
  double answer_nll = 0, teacher_answer_nll = 0;  ///< of held-out tasks; 0 without any
  double recall_nll = 0, teacher_recall_nll = 0;  ///< where --recall-weight is above 0
};

class JointRun {
 public:
  /// `input` and `sampler` must outlive the run.
  JointRun(const JointInput& input, const JointTrainOptions& options,
           const StretchSampler& sampler);

  JointParameters& parameters() { return parameters_; }
  const JointParameters& parameters() const { return parameters_; }

  /// A stretch as the untouched model reads it with full attention.
  struct Reading {
    at::Tensor ids, states;                      ///< `[T]` and `[T, E]` on the device
    std::map<int64_t, AttentionTarget> targets;  ///< by layer
  };
  Reading teach(const Stretch& stretch, CounterRng& rng, bool wants_targets);
  /// What the options say a student retrieves.
  StudentRules rules() const;
  StudentPolicy student(const StudentRules& rules, StudentPolicy::Visit visit);

  /// Gradients of this process's share of a step's batch into the groups' banks; its part of
  /// `[kJointMetrics]` on the device: both are to be summed over all processes. Does not wait for
  /// the device.
  at::Tensor accumulate(int64_t step);
  /// On held-out text, by the options' rules or by the student made for each stretch.
  JointScore score();
  JointScore score(const std::function<StudentPolicy()>& make_student);

  /// What lambda_ret and lambda_comp make of one token more in E|S|.
  double token_cost() const;
  /// Operations of attention by query and layer when `tokens` are retrieved (design 4.1.4).
  double attention_flops(double tokens) const;
  int64_t tokens_read() const { return tokens_read_; }
  void count_tokens(int64_t n) { tokens_read_ += n; }
  /// Of a batch calls `learn` for this process's stretches and counts the `length` tokens of each
  /// of the others': the sum of what it returns, divided by the batch.
  at::Tensor share(int64_t length, const std::function<at::Tensor(int64_t index)>& learn);

 private:
  at::Tensor learn(const Stretch& stretch, CounterRng& rng);
  struct Judged {
    TaskTerms terms;
    at::Tensor picked;  ///< |S|
  };
  Judged judge(const Stretch& stretch, uint64_t index, uint64_t stream,
               const std::function<StudentPolicy()>& make_student);
  void score_answers(const std::function<StudentPolicy()>& make_student, JointScore& score);
  void calibrate(const Reading& reading, int64_t layer, const at::Tensor& x, at::Tensor& loss);
  bool counts_expected() const { return options_.lambda_ret > 0 || options_.lambda_comp > 0; }

  const JointInput& input_;
  JointTrainOptions options_;
  const StretchSampler& sampler_;
  JointParameters parameters_;
  LossOptions retriever_loss_;
  AngleCache angles_;
  int64_t tokens_read_ = 0;
};

}  // namespace dsrasq::train
