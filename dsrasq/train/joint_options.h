#pragma once

// What `dsrasq train joint` can be told.

#include <cstdint>
#include <string>

#include "dsrasq/train/policy_gradient_options.h"
#include "dsrasq/train/run_options.h"

namespace dsrasq::train {

struct JointTrainOptions : RunOptions {
  JointTrainOptions() {
    steps = 1500;
    length = 4096;
    long_length = 8192;
    rows = 256;
    warmup = 20;
  }

  double local_share = 0;  ///< of the stretches, read without any retrieval
  int64_t block = 512;
  int64_t top_k = 64;
  int64_t pool = 0;
  double pool_share = 1;  ///< of the stretches, limited to the pool
  int64_t horizon = 0;

  double kl_weight = 1;
  double ce_weight = 0;
  double answer_weight = 1;
  double recall_weight = 0;
  double retriever_weight = 0.1;
  bool thresholds = false;
  double threshold = 1e-3;  ///< tau at the start, as a share of the attention
  double lambda_ret = 0;
  double lambda_comp = 0;

  int64_t lora_rank = 16;
  double lora_alpha = 32;
  std::string lora_targets = "q,k,v,o,down";
  int64_t slots = 0;
  std::string slot_mode;  ///< content, position or rotate; empty: the adapter's, else content
  double beta = 0;        ///< of every slot; 0: learned

  double lr_retriever = 2e-4;
  double lr_threshold = 1e-2;
  double lr_lora = 5e-4;
  double lr_slots = 1e-3;
  double lr_gates = 2e-2;
  double weight_decay = 0;
  PolicyGradientOptions rl;  ///< the stage after these steps

  template <class Visit>
  void visit(Visit&& visit) {
    visit_run_folder(visit);
    visit_run(visit);
  }

  /// The options that change what a run computes.
  template <class Visit>
  void visit_run(Visit&& visit) {
    visit_common(visit);
    visit(local_share, "local-share", "share of stretches read without retrieval, for the slots");
    visit(block, "block", "tokens that the slots take in at once");
    visit(top_k, "topk", "most tokens retrieved for a query and layer");
    visit(pool, "pool", "older tokens that can be retrieved, the latest of them; 0: all");
    visit(pool_share, "pool-share",
          "share of stretches limited to --pool; the others can retrieve everything");
    visit(horizon, "horizon",
          "tokens back that get gradients, counted from a query's block; 0: all of them");
    visit(kl_weight, "kl-weight", "weight of the KL to the untouched model with full attention");
    visit(ce_weight, "ce-weight", "weight of the text's own negative log-likelihood");
    visit(answer_weight, "answer-weight",
          "weight of the negative log-likelihood of the answers to --tasks, of their tokens alone");
    visit(recall_weight, "recall-weight",
          "weight of that of planted details and passages that come again (--recall-share), in "
          "stretches not limited to a --pool");
    visit(retriever_weight, "retriever-weight",
          "weight of the warm-up's KL, which keeps the retriever calibrated; 0: none");
    visit(thresholds, "thresholds", "train a threshold for every layer; fewer than --topk then do");
    visit(threshold, "threshold", "share of the attention from which a token is worth retrieving");
    visit(lambda_ret, "lambda-ret", "cost of a retrieved token, of E|S| by query and layer");
    visit(lambda_comp, "lambda-comp", "cost of 1e6 operations of attention by query and layer");
    visit(lora_rank, "lora-rank", "rank of the changes to the model's weights; 0: none");
    visit(lora_alpha, "lora-alpha", "their scale times the rank");
    visit(lora_targets, "lora-targets", "the matrices that change, of q, k, v, o and down");
    visit(slots, "slots",
          "latent slots a layer, for what leaves --pool; 0: none, or the starting adapter's");
    visit(
        slot_mode, "slot-mode",
        "what decides how much of a token slots take: content, position (its place in the block) "
        "or rotate (content, each block replaces one slot); default: the starting adapter's, else "
        "content");
    visit(beta, "beta", "share of a slot that stays at each block, the same for all; 0: learned");
    visit(lr_retriever, "lr-retriever", "peak learning rate of the retriever; 0: it stays");
    visit(lr_threshold, "lr-threshold", "peak learning rate of the thresholds");
    visit(lr_lora, "lr-lora", "peak learning rate of the changes to the weights");
    visit(lr_slots, "lr-slots", "peak learning rate of the slots' projections and read-outs");
    visit(lr_gates, "lr-gates", "peak learning rate of the slots' gates and decay");
    visit(weight_decay, "weight-decay", "of the changes to the weights and the slots' matrices");
    rl.visit(visit);
  }
};

}  // namespace dsrasq::train
