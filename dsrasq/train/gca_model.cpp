#include "dsrasq/train/gca_model.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>

#include <optional>
#include <string>

#include "dsrasq/core/error.h"
#include "dsrasq/ops/rows.h"
#include "dsrasq/train/windowed_attention.h"

namespace dsrasq::train {

GcaModel::Layer GcaModel::layer_of(const model::WeightsByName& weights, const std::string& prefix) {
  const auto weight = [&](const char* name) { return weights.at(concat(prefix, name, ".weight")); };
  Layer layer{
      .attn_norm = weight("attn_norm"),
      .ffn_norm = weight("ffn_norm"),
      .qkv = ops::Linear::dense(at::cat({weight("attn_q"), weight("attn_k"), weight("attn_v")})),
      .out = ops::Linear::dense(weight("attn_output")),
      .gate_up = ops::Linear::dense(at::cat({weight("ffn_gate"), weight("ffn_up")})),
      .down = ops::Linear::dense(weight("ffn_down"))};
  if (!weights.contains(prefix + "cross_norm.weight")) return layer;
  layer.cross_norm = weight("cross_norm");
  layer.cross_q = ops::Linear::dense(weight("cross_q"));
  layer.cross_out = ops::Linear::dense(weight("cross_output"));
  return layer;
}

GcaModel::GcaModel(const GcaConfig& config, const model::WeightsByName& weights, AngleCache& angles)
    : config_(config),
      angles_(angles),
      rope_(checkpoint::rope_table(config.decoder, false).inverse_frequencies),
      embedding_(weights.at("token_embd.weight")),
      head_(config.decoder.tied_embeddings ? embedding_ : weights.at("output.weight")),
      output_norm_(weights.at("output_norm.weight")),
      landmark_(weights.at("landmark.weight")),
      landmark_norm_(weights.at("landmark_norm.weight")),
      encoder_norm_(weights.at("enc_norm.weight")),
      encoder_output_norm_(weights.at("enc_output_norm.weight")),
      chunk_k_(ops::Linear::dense(weights.at("chunk_k.weight"))),
      chunk_v_(ops::Linear::dense(weights.at("chunk_v.weight"))) {
  for (int64_t i = 0; i < config.decoder.n_layers; ++i)
    layers_.push_back(layer_of(weights, concat("blk.", i, '.')));
  for (int64_t i = 0; i < config.encoder_layers; ++i)
    encoder_.push_back(layer_of(weights, concat("enc.", i, '.')));
}

GcaModel::Sequences GcaModel::sequences(int64_t n, int64_t length, int64_t window) const {
  const ops::Rope::Angles& once = angles_.get(rope_, 0, length, 1);
  return {.n = n,
          .length = length,
          .window = window,
          .angles = {once.cos.repeat({n, 1}), once.sin.repeat({n, 1})}};
}

// The last chunk is filled up: nothing before what is added there reads it.
at::Tensor GcaModel::with_landmarks(const at::Tensor& ids, int64_t n_chunks) const {
  const int64_t n = ids.size(0), width = config_.decoder.n_embd;
  const at::Tensor full = at::constant_pad_nd(ids, {0, n_chunks * config_.chunk - ids.size(1)});
  const at::Tensor text = at::embedding(embedding_, full).view({n, n_chunks, config_.chunk, width});
  return at::cat({text, landmark_.expand({n, n_chunks, 1, width})}, 2).view({-1, width});
}

at::Tensor GcaModel::attended(const Layer& layer, const at::Tensor& h, const Sequences& s) const {
  const checkpoint::ModelConfig& c = config_.decoder;
  const at::Tensor qkv = layer.qkv(ops::rms_norm(h, layer.attn_norm, c.rms_norm_eps));
  const int64_t n_q = c.n_embd, n_kv = (qkv.size(1) - n_q) / 2;
  const auto split = [&](int64_t first, int64_t width) {
    return ops::columns(qkv, first, width).view({h.size(0), width / c.head_dim, c.head_dim});
  };
  const auto heads = [&](const at::Tensor& x) {
    return heads_first(x.view({s.n, s.length, x.size(1), c.head_dim}), c.n_heads);
  };
  const at::Tensor q = heads(ops::rotate(split(0, n_q), s.angles));
  const at::Tensor k = heads(ops::rotate(split(n_q, n_kv), s.angles));
  const at::Tensor v = heads(split(n_q + n_kv, n_kv));
  const at::Tensor read = s.window > 0 ? windowed_attention(q, k, v, s.window, c.attention_scale)
                                       : at::scaled_dot_product_attention(
                                             q, k, v, std::nullopt, 0.0, false, c.attention_scale);
  return h + layer.out(read.transpose(1, 2).reshape({h.size(0), n_q}));
}

at::Tensor GcaModel::fed_forward(const Layer& layer, const at::Tensor& h,
                                 const at::Tensor& x) const {
  const at::Tensor normed = ops::rms_norm(x, layer.ffn_norm, config_.decoder.rms_norm_eps);
  return h + layer.down(ops::gated(layer.gate_up(normed), config_.decoder.activation));
}

// `chunks` [B, C, S, E]. The landmark of chunk t picks from the chunks before t, for chunk t + 1:
// the first and the last landmark have nothing to pick, the last two chunks are nobody's.
RetrievedChunks GcaModel::retrieve(const at::Tensor& chunks, const at::Tensor& noise) const {
  const checkpoint::ModelConfig& c = config_.decoder;
  const int64_t n = chunks.size(0), n_picked = chunks.size(1) - 2, size = chunks.size(2);
  const Sequences s = sequences(n * n_picked, size, 0);
  at::Tensor e = ops::rms_norm(chunks.narrow(1, 0, n_picked).reshape({-1, c.n_embd}), encoder_norm_,
                               c.rms_norm_eps);
  for (const Layer& layer : encoder_) {
    e = attended(layer, e, s);
    e = fed_forward(layer, e, e);
  }
  e = ops::rms_norm(e, encoder_output_norm_, c.rms_norm_eps).view({n, n_picked, size, c.n_embd});
  const at::Tensor queries =
      ops::rms_norm(chunks.narrow(1, 1, n_picked).select(2, size - 1).contiguous(), landmark_norm_,
                    c.rms_norm_eps);
  const ChunkPicks picks = pick_chunks(queries, e.select(2, size - 1), config_.top_k, noise);
  const at::Tensor text = e.narrow(2, 0, size - 1).reshape({-1, c.n_embd});
  // [B, N, H, S, D]; in the landmark's place zeros, which make the softmax one plus one.
  const auto heads = [&](const ops::Linear& project) {
    const at::Tensor rows =
        project(text).view({n, n_picked, size - 1, c.n_heads, c.head_dim}).transpose(2, 3);
    return at::constant_pad_nd(rows, {0, 0, 0, 1});
  };
  return {picks, heads(chunk_k_), heads(chunk_v_)};
}

// What layer `layer` adds to the feed-forward part's input: nothing in the first two chunks.
at::Tensor GcaModel::cross_attended(const Layer& layer, const at::Tensor& h, int64_t n_batch,
                                    const RetrievedChunks& chunks) const {
  const checkpoint::ModelConfig& c = config_.decoder;
  const int64_t size = config_.chunk + 1, length = h.size(0) / n_batch;
  const at::Tensor own = h.view({n_batch, length, c.n_embd})
                             .narrow(1, 2 * size, length - 2 * size)
                             .reshape({-1, c.n_embd});
  const at::Tensor q = layer.cross_q(ops::rms_norm(own, layer.cross_norm, c.rms_norm_eps))
                           .view({-1, size, c.n_heads, c.head_dim})
                           .transpose(1, 2);
  const at::Tensor read = chunks.attend(q, c.attention_scale).transpose(1, 2);
  const at::Tensor added =
      layer.cross_out(read.reshape(own.sizes())).view({n_batch, length - 2 * size, c.n_embd});
  return h + at::constant_pad_nd(added, {0, 0, 2 * size, 0}).view(h.sizes());
}

at::Tensor GcaModel::states(const at::Tensor& ids, const at::Tensor& noise) const {
  const checkpoint::ModelConfig& c = config_.decoder;
  const int64_t n = ids.size(0), n_tokens = ids.size(1), size = config_.chunk + 1;
  const int64_t n_chunks = config_.n_chunks(n_tokens);
  const Sequences s = sequences(n, n_chunks * size, config_.window);
  at::Tensor h = with_landmarks(ids, n_chunks);
  std::optional<RetrievedChunks> chunks;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (static_cast<int64_t>(i) == config_.lower_layers && config_.n_retrieving(n_tokens) > 0)
      chunks = retrieve(h.view({n, n_chunks, size, c.n_embd}), noise);
    h = attended(layers_[i], h, s);
    // What the cross attention adds is read by the feed-forward part alone: as in the official
    // code, it is no part of what the next layer gets.
    h = fed_forward(layers_[i], h, chunks ? cross_attended(layers_[i], h, n, *chunks) : h);
  }
  const at::Tensor text = h.view({n, n_chunks, size, c.n_embd})
                              .narrow(2, 0, config_.chunk)
                              .reshape({n, n_chunks * config_.chunk, c.n_embd})
                              .narrow(1, 0, n_tokens);
  return ops::rms_norm(text, output_norm_, c.rms_norm_eps);
}

}  // namespace dsrasq::train
