#include <nlohmann/json.hpp>

#include "cli/command.h"

namespace dsrasq::cli {

std::vector<Command> all_commands() {
  return {ask_command(),
          digest_command(),
          generate_command(),
          chat_command(),
          convert_command(),
          train_retriever_command(),
          train_joint_command(),
          train_lm_command(),
          sweep_command(),
          eval_perplexity_command(),
          eval_needle_command(),
          eval_gist_command(),
          eval_retrieval_command(),
          eval_qa_command(),
          eval_summarization_command(),
          eval_translation_command(),
          eval_ruler_command(),
          eval_babi_command(),
          eval_longbench_command(),
          eval_news_command(),
          eval_dialogue_command(),
          score_command(),
          data_prepare_command(),
          data_index_command(),
          bench_prefill_command(),
          bench_decode_command(),
          bench_scaling_command(),
          report_command(),
          inspect_command(),
          version_command()};
}

}  // namespace dsrasq::cli
