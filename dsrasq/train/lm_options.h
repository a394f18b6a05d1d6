#pragma once

// What `dsrasq train lm` can be told.

#include <cstdint>
#include <string>

#include "dsrasq/train/run_options.h"

namespace dsrasq::train {

struct LmTrainOptions : RunOptions {
  LmTrainOptions() {
    steps = 1000;
    batch = 16;
    length = 2048;
    long_share = 0;
    recall_share = 0;
    rows = 256;
    warmup = 100;
  }

  std::string attention = "dsrasq";
  std::string tokenizer;  ///< a Hugging Face folder or a tokenizer.json; empty: trained
  int64_t vocab = 16384;  ///< tokens of one that is trained
  int64_t layers = 6;
  int64_t hidden = 384;
  int64_t heads = 6;
  int64_t kv_heads = 2;
  int64_t ffn = 1024;
  int64_t context = 0;
  double rope_theta = 10000;
  bool tied = true;
  std::string dtype = "bf16";  ///< of the weights in the written file

  int64_t top_k = 256;
  int64_t index_heads = 4;
  int64_t index_dim = 32;
  int64_t index_stretches = 4;

  int64_t chunk = 63;
  int64_t chunk_top_k = 8;
  int64_t lower_layers = 0;  ///< 0: half
  int64_t encoder_layers = 2;

  double lr = 2e-3;
  double lr_retriever = 3e-3;
  double weight_decay = 0.1;
  int64_t tokens_at_once = 0;

  bool is_sparse() const { return attention == "dsrasq"; }
  bool is_gca() const { return attention == "gca"; }
  int64_t trained_context() const { return context > 0 ? context : length; }

  template <class Visit>
  void visit(Visit&& visit) {
    visit(data, "data",
          "what to train on: .jsonl(.xz) with a text a record, plain text, or tokens");
    visit(output, "output", "the Hugging Face folder to write, with the adapter in it");
    visit(tokenizer, "tokenizer",
          "whose tokenizer to take: a Hugging Face folder or a tokenizer.json; default: one is "
          "trained on the data");
    visit(vocab, "vocab", "tokens of a tokenizer that is trained");
    visit_loop(visit);
    visit(dtype, "dtype", "of the written weights: bf16 or f32");
    visit(tokens_at_once, "tokens-at-once",
          "tokens that one forward pass reads; 0: by the device. More want more memory");
    visit_run(visit);
  }

  /// The options that change what a run computes.
  template <class Visit>
  void visit_run(Visit&& visit) {
    visit(attention, "attention",
          "dsrasq: sinks, window and the tokens that the indexer picks; full: everything; gca: "
          "window and retrieved chunks by grouped cross attention, to compare with");
    visit(layers, "layers", "layers");
    visit(hidden, "hidden", "width of the model");
    visit(heads, "heads", "query heads");
    visit(kv_heads, "kv-heads", "key and value heads");
    visit(ffn, "ffn", "width of the feed-forward part");
    visit(context, "context", "tokens the model is said to be trained for; 0: --length");
    visit(rope_theta, "rope-theta", "base of RoPE's wavelengths");
    visit(tied, "tied", "the output's matrix is the embedding");
    visit(steps, "steps", "optimiser steps");
    visit(batch, "batch", "stretches of text a step");
    visit(length, "length", "tokens of a stretch");
    visit(window, "window", "recent tokens that every query attends to");
    visit(sinks, "sinks", "first tokens that every query attends to");
    visit(top_k, "topk", "most tokens retrieved for a query and layer");
    visit(index_heads, "index-heads", "heads of an indexer");
    visit(index_dim, "index-dim", "size of an indexer's head");
    visit(index_stretches, "index-stretches", "stretches of a step that the indexers learn from");
    visit(rows, "rows", "query rows sampled from each of those");
    visit(chunk, "chunk", "with gca, tokens of text before every landmark");
    visit(chunk_top_k, "chunk-topk", "with gca, chunks retrieved for a chunk");
    visit(lower_layers, "lower-layers", "with gca, layers before the retrieval; 0: half");
    visit(encoder_layers, "encoder-layers", "with gca, layers of the encoder of chunks");
    visit(conditional_weight, "conditional-weight",
          "in the indexers' loss, weight of the KL among far tokens");
    visit(fake_quantise, "fake-quantise", "round index queries and keys as inference does");
    visit(lr, "lr", "peak learning rate of the model");
    visit(lr_retriever, "lr-retriever", "peak learning rate of the indexers");
    visit(weight_decay, "weight-decay", "of the model's matrices");
    visit(warmup, "warmup", "steps to the peak of the learning rates");
    visit(clip, "clip", "largest gradient norm of a group of parameters; 0: no clipping");
    visit(seed, "seed", "of parameters, stretches and rows");
  }
};

}  // namespace dsrasq::train
