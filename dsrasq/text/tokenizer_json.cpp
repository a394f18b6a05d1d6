// Reads the tokenizer of a Hugging Face folder.

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "dsrasq/core/error.h"
#include "dsrasq/text/tokenizer_json_parts.h"

namespace dsrasq::text {
namespace {

using nlohmann::json;

std::string file_name(const TokenizerFiles& files, const char* file) {
  const bool is_file = files.name.ends_with(".json");
  return is_file ? files.name : files.name + "/" + file;
}

int32_t read_id(const JsonView& view) {
  return static_cast<int32_t>(view.integer(0, kMaxTokenIds - 1));
}

bool is_on(const JsonView& view, const char* key) {
  const auto found = view.find(key);
  return found && found->boolean();
}

void read_vocab(const JsonView& view, Vocab& vocab) {
  if (!view.is_object()) view.fail("is no object");
  vocab.reserve(view.value().size());
  for (const auto& [text, id] : view.value().items()) {
    if (!id.is_number_integer() || id < 0 || id >= kMaxTokenIds)
      view.fail(concat("gives \"", text, "\" no id from 0 to ", kMaxTokenIds - 1));
    if (!vocab.add(text, id.get<int32_t>()))
      view.fail(concat("gives \"", text, "\" the id ", id.get<int32_t>(), " of another token"));
  }
}

// A merge is "left right" or ["left", "right"].
std::pair<std::string_view, std::string_view> read_pair(const JsonView& view) {
  if (view.is_array()) {
    if (view.size() != 2) view.fail("is no pair");
    return {view[0].string(), view[1].string()};
  }
  const std::string_view text = view.string();
  const size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    view.fail("is not two tokens with a space between them");
  return {text.substr(0, space), text.substr(space + 1)};
}

void read_merges(const JsonView& view, Bpe& bpe) {
  const size_t n = view.size();
  bpe.merges.reserve(n);
  std::string joined;
  for (size_t i = 0; i < n; ++i) {
    const JsonView item = view[i];
    const auto [left, right] = read_pair(item);
    joined.assign(left).append(right);
    const auto id_of = [&](std::string_view token) {
      const int32_t id = bpe.vocab.find(token);
      if (id < 0) item.fail(concat("needs \"", token, "\", which is not in the vocabulary"));
      return id;
    };
    const Merge merge{static_cast<uint32_t>(i), id_of(joined)};
    bpe.merges.set(id_of(left), id_of(right), merge);
  }
}

void read_model(const JsonView& view, Bpe& bpe) {
  if (const auto type = view.find("type"); type && type->string() != "BPE")
    type->fail("is \"" + type->string() + "\", which is not supported");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"})
    if (const auto affix = view.find(key); affix && !affix->string().empty())
      affix->fail("is set, which is not supported");
  if (const auto dropout = view.find("dropout"); dropout && dropout->value() != 0)
    dropout->fail("is set, which is not supported");
  read_vocab(view.at("vocab"), bpe.vocab);
  read_merges(view.at("merges"), bpe);
  bpe.falls_back_to_bytes = is_on(view, "byte_fallback");
  bpe.fuses_unknown = is_on(view, "fuse_unk");
  bpe.ignores_merges = is_on(view, "ignore_merges");
  if (const auto unknown = view.find("unk_token")) {
    bpe.unknown_id = bpe.vocab.find(unknown->string());
    if (bpe.unknown_id < 0) unknown->fail("is not in the vocabulary");
  }
  find_byte_tokens(bpe);
}

AddedToken read_added_token(const JsonView& view, const Vocab& vocab) {
  AddedToken token;
  token.id = read_id(view.at("id"));
  token.content = view.at("content").string();
  token.is_special = is_on(view, "special");
  token.is_normalized = is_on(view, "normalized");
  token.single_word = is_on(view, "single_word");
  token.strips_left = is_on(view, "lstrip");
  token.strips_right = is_on(view, "rstrip");
  if (token.content.size() > kMaxAddedTokenBytes)
    view.fail(concat("has ", token.content.size(), " bytes, want at most ", kMaxAddedTokenBytes));
  const int32_t known = vocab.find(token.content);
  if (known >= 0 && known != token.id)
    view.fail(concat("has id ", token.id, ", but ", known, " in the vocabulary"));
  if (known < 0 && vocab.has(token.id))
    view.fail(concat("has id ", token.id, " of \"", vocab.text(token.id), "\" in the vocabulary"));
  return token;
}

void read_added_tokens(const JsonView& view, TokenizerSpec& spec) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < view.size(); ++i) {
    AddedToken token = read_added_token(view[i], spec.bpe.vocab);
    if (token.content.empty()) continue;  // never found in a text
    ids.push_back(token.id);
    spec.added_tokens.push_back(std::move(token));
  }
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice != ids.end()) view.fail(concat("gives the id ", *twice, " twice"));
}

std::optional<int32_t> id_of_text(const TokenizerSpec& spec, std::string_view text) {
  for (const AddedToken& token : spec.added_tokens)
    if (token.content == text) return token.id;
  const int32_t id = spec.bpe.vocab.find(text);
  return id < 0 ? std::nullopt : std::optional(id);
}

// Whether a post-processor begins every text with a special token, and which.
std::optional<std::string> first_special_token(const JsonView& view, int depth = 0) {
  const std::string& type = view.at("type").string();
  if (type == "Sequence" && depth == 0) {
    const JsonView parts = view.at("processors");
    for (size_t i = 0; i < parts.size(); ++i)
      if (auto found = first_special_token(parts[i], depth + 1)) return found;
  }
  if (type != "TemplateProcessing") return std::nullopt;
  const JsonView single = view.at("single");
  if (single.size() == 0) return std::nullopt;
  const auto special = single[0].find("SpecialToken");
  return special ? std::optional(special->at("id").string()) : std::nullopt;
}

// A token in tokenizer_config.json is its text, or an object with the text in "content".
std::optional<int32_t> read_token(const JsonView& config, const char* key,
                                  const TokenizerSpec& spec) {
  const auto found = config.find(key);
  if (!found) return std::nullopt;
  return id_of_text(spec, found->is_object() ? found->at("content").string() : found->string());
}

std::string read_chat_template(const JsonView& view) {
  if (view.is_string()) return view.string();
  for (size_t i = 0; i < view.size(); ++i)
    if (i + 1 == view.size() || view[i].at("name").string() == "default")
      return view[i].at("template").string();
  return {};
}

void read_config(const JsonView& config, TokenizerSpec& spec) {
  if (const auto bos = read_token(config, "bos_token", spec)) spec.bos = bos;
  if (const auto eos = read_token(config, "eos_token", spec)) spec.eos = eos;
  if (const auto adds = config.find("add_bos_token")) spec.adds_bos = adds->boolean();
  const auto chat = config.find("chat_template");
  if (chat && spec.chat_template.empty()) spec.chat_template = read_chat_template(*chat);
}

void read_generation_config(const JsonView& config, TokenizerSpec& spec) {
  if (const auto bos = config.find("bos_token_id"); bos && !spec.bos) spec.bos = read_id(*bos);
  const auto eos = config.find("eos_token_id");
  if (!eos) return;
  if (eos->is_array()) {
    for (size_t i = 0; i < eos->size(); ++i) spec.more_ends.push_back(read_id((*eos)[i]));
  } else {
    spec.more_ends.push_back(read_id(*eos));
  }
  if (!spec.eos && !spec.more_ends.empty()) spec.eos = spec.more_ends.front();
}

}  // namespace

TokenizerSpec spec_from_json(const TokenizerFiles& files) {
  TokenizerSpec spec;
  const std::string name = file_name(files, "tokenizer.json");
  const json tree = parse_json(files.tokenizer_json, name);
  const JsonView root(tree, name);
  bool has_byte_level = false;
  if (const auto part = root.find("normalizer")) spec.normalizer = read_normalizer(*part);
  if (const auto part = root.find("pre_tokenizer"))
    spec.pre_tokenizer = read_pre_tokenizer(*part, has_byte_level);
  if (const auto part = root.find("decoder")) spec.decoder = read_decoder(*part);
  for (const char* key : {"normalizer", "pre_tokenizer"})
    if (const auto part = root.find(key)) spec.description += part->value().dump() + '\n';
  spec.bpe.is_byte_level = has_byte_level;
  read_model(root.at("model"), spec.bpe);
  if (const auto part = root.find("added_tokens")) read_added_tokens(*part, spec);
  if (const auto part = root.find("post_processor")) {
    if (const auto first = first_special_token(*part)) spec.bos = id_of_text(spec, *first);
    spec.adds_bos = spec.bos.has_value();
  }
  spec.chat_template = files.chat_template;
  if (!files.tokenizer_config.empty()) {
    const std::string config_name = file_name(files, "tokenizer_config.json");
    const json config = parse_json(files.tokenizer_config, config_name);
    read_config(JsonView(config, config_name), spec);
  }
  if (!files.generation_config.empty()) {
    const std::string config_name = file_name(files, "generation_config.json");
    const json config = parse_json(files.generation_config, config_name);
    read_generation_config(JsonView(config, config_name), spec);
  }
  return spec;
}

}  // namespace dsrasq::text
