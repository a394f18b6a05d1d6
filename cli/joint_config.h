#pragma once

// The options of `dsrasq train joint`.

#include "dsrasq/session/engine.h"
#include "dsrasq/train/training_stages.h"

namespace dsrasq::cli {

struct JointConfig {
  session::EngineOptions engine{.dense = true};
  train::StagedTrainOptions train;
  bool dry_run = false;

  template <class V>
  void visit(V&& v) {
    train.visit(v);
    v(engine.model, "model", "the base model: a GGUF file or a Hugging Face folder");
    v(engine.adapter, "adapter",
      "to start from: a file, none, or auto: found by the model's fingerprint; none where --stages "
      "names warmup");
    v(engine.device, "device", "cpu or cuda");
    v(engine.threads, "threads", "CPU threads; 0: all cores");
    v(dry_run, "dry-run", "say what the run will take, and leave");
  }
};

}  // namespace dsrasq::cli
