#include "dsrasq/train/gca_config.h"

#include <algorithm>
#include <utility>

#include "dsrasq/core/error.h"

namespace dsrasq::train {
namespace {

constexpr const char* kInGcaConfig = "train.gca_config";
constexpr int64_t kMostTokens = 1 << 20, kMostLayers = 1000;

}  // namespace

double GcaConfig::mean_retrieved(int64_t n_tokens) const {
  int64_t sum = 0;
  for (int64_t t = 0; t < n_tokens; ++t)
    sum += std::clamp<int64_t>(t / chunk - 1, 0, top_k) * chunk;
  return static_cast<double>(sum) / static_cast<double>(n_tokens);
}

int64_t GcaConfig::decoder_values(int64_t n_tokens) const {
  const int64_t n_whole = n_tokens / chunk;
  const int64_t in_window = std::min(window, n_tokens + n_whole);
  return decoder.n_layers * in_window * 2 * decoder.n_kv_heads * decoder.head_dim +
         n_whole * (2 * chunk + 1) * decoder.n_embd;
}

GcaConfig gca_config(const LmTrainOptions& o, const checkpoint::ModelConfig& decoder) {
  GcaConfig config{.decoder = decoder,
                   .window = o.window,
                   .chunk = o.chunk,
                   .top_k = o.chunk_top_k,
                   .lower_layers = o.lower_layers != 0 ? o.lower_layers : o.layers / 2,
                   .encoder_layers = o.encoder_layers};
  check_gca_config(config, "the options", ErrorCode::kInvalidArgument);
  return config;
}

void check_gca_config(const GcaConfig& config, const std::string& source, ErrorCode code) {
  const auto within = [&](int64_t value, int64_t least, int64_t most, const char* what) {
    if (value < least || value > most)
      throw Error(code, kInGcaConfig,
                  concat(source, ": with grouped cross attention ", what, " is ", value, ", want ",
                         least, " to ", most));
  };
  const checkpoint::ModelConfig& decoder = config.decoder;
  checkpoint::check_config(decoder, source);
  within(decoder.n_heads * decoder.head_dim, decoder.n_embd, decoder.n_embd,
         "the width of all heads");
  within(decoder.n_layers, 2, kMostLayers, "the number of layers");
  within(config.lower_layers, 1, decoder.n_layers - 1, "the number of lower layers");
  within(config.encoder_layers, 1, kMostLayers, "the number of encoder layers");
  within(config.window, 1, kMostTokens, "the sliding window");
  within(config.chunk, 1, kMostTokens, "the size of a chunk");
  within(config.top_k, 1, kMostTokens, "the number of retrieved chunks");
}

std::vector<checkpoint::WantedTensor> gca_tensors(const GcaConfig& config) {
  std::vector<checkpoint::WantedTensor> wanted = checkpoint::wanted_tensors(config.decoder);
  const int64_t width = config.decoder.n_embd;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    wanted.push_back({name + ".weight", std::move(shape)});
  };
  add("landmark", {1, width});
  add("landmark_norm", {width});
  add("chunk_k", {width, width});
  add("chunk_v", {width, width});
  add("enc_norm", {width});
  add("enc_output_norm", {width});
  // Layers like the decoder's, with as many heads for keys and values as for queries.
  checkpoint::ModelConfig encoder = config.decoder;
  encoder.n_layers = config.encoder_layers;
  encoder.n_kv_heads = encoder.n_heads;
  for (checkpoint::WantedTensor& tensor : checkpoint::wanted_tensors(encoder))
    if (tensor.name.starts_with("blk."))
      wanted.push_back({"enc." + tensor.name.substr(4), std::move(tensor.shape)});
  for (int64_t i = config.lower_layers; i < config.decoder.n_layers; ++i) {
    const std::string at = concat("blk.", i, '.');
    add(at + "cross_norm", {width});
    add(at + "cross_q", {width, width});
    add(at + "cross_output", {width, width});
  }
  return wanted;
}

}  // namespace dsrasq::train
