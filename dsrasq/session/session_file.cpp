// Session::save and Session::load: the state of a sequence as a chunk file. All sizes come from the
// configuration, so a session of a million tokens is as large as one of a hundred.

#include <ATen/Functions.h>

#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/chunk_file.h"
#include "dsrasq/session/session.h"

namespace dsrasq::session {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kWhere = "session.session_file";
constexpr size_t kStateBytes = 16 << 10;
constexpr size_t kSourcesBytes = 64 << 10;

// JSON padded with blanks to a fixed size.
void add_json(formats::ChunkFileWriter& out, const char* name, const Json& json, size_t n_bytes) {
  std::string text = json.dump();
  DSRASQ_CHECK(text.size() <= n_bytes, kResourceExhausted, kWhere, "the section ", name, " takes ",
               text.size(), " bytes, there is room for ", n_bytes);
  text.resize(n_bytes, ' ');
  out.add(name, std::as_bytes(std::span(text)));
}

Json read_json(const formats::ChunkFile& in, const char* name) {
  const auto bytes = in.require(name);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  Json json = Json::parse(text, text + bytes.size(), nullptr, false);
  DSRASQ_CHECK(!json.is_discarded(), kBadInput, kWhere, in.path().string(), ": section ", name,
               " is not JSON");
  return json;
}

template <class Options>
Json options_to_json(Options options) {
  Json json;
  options.visit([&json](auto& field, const char* name, const char*) { json[name] = field; });
  return json;
}

template <class Options>
Options options_from_json(const Json& json) {
  Options options;
  options.visit(
      [&json](auto& field, const char* name, const char*) { json.at(name).get_to(field); });
  return options;
}

Json sampling_to_json(const model::SamplingConfig& c) {
  return {{"temperature", c.temperature},
          {"top_k", c.top_k},
          {"top_p", c.top_p},
          {"min_p", c.min_p},
          {"repeat_penalty", c.repeat_penalty},
          {"repeat_last_n", c.repeat_last_n},
          {"seed", c.seed}};
}

model::SamplingConfig sampling_from_json(const Json& json) {
  return {.temperature = json.at("temperature"),
          .top_k = json.at("top_k"),
          .top_p = json.at("top_p"),
          .min_p = json.at("min_p"),
          .repeat_penalty = json.at("repeat_penalty"),
          .repeat_last_n = json.at("repeat_last_n"),
          .seed = json.at("seed")};
}

Json sources_to_json(const std::vector<Source>& sources) {
  Json list = Json::array();
  for (const Source& s : sources)
    list.push_back({{"path", s.path},
                    {"bytes", s.bytes},
                    {"fingerprint", s.fingerprint},
                    {"first_token", s.first_token},
                    {"n_tokens", s.n_tokens}});
  return list;
}

std::vector<Source> sources_from_json(const Json& list) {
  std::vector<Source> sources;
  for (const Json& s : list)
    sources.push_back(
        {s.at("path"), s.at("bytes"), s.at("fingerprint"), s.at("first_token"), s.at("n_tokens")});
  return sources;
}

void check_same(const formats::ChunkFile& in, const char* what, const std::string& saved,
                const std::string& here) {
  DSRASQ_CHECK(saved == here, kBadInput, kWhere, in.path().string(), " was made with another ",
               what, " (", saved.empty() ? "none" : saved, "), here it is ",
               here.empty() ? "none" : here);
}

}  // namespace

void Session::save(const std::filesystem::path& path) const {
  formats::ChunkFileWriter out(path, kSessionKind, kSessionVersion);
  add_json(out, "state",
           {{"model", engine_.fingerprint()},
            {"model_file", engine_.options().model},
            {"tokenizer", engine_.tokenizer().fingerprint()},
            {"adapter", engine_.adapter_fingerprint()},
            {"options", options_to_json(options_)},
            {"position", position()},
            {"sampling", sampling_to_json(sampling_)},
            {"sampler", sampler_.save_state()}},
           kStateBytes);
  add_json(out, "sources", sources_to_json(sources_), kSourcesBytes);
  at::Tensor state = at::zeros({1, engine_.model().config().n_embd}, at::kFloat);
  if (last_state_.defined()) state.copy_(last_state_);
  out.add("last_state", std::as_bytes(std::span(state.const_data_ptr<float>(),
                                                static_cast<size_t>(state.numel()))));
  policy_->save(out);
  out.commit();
}

std::unique_ptr<Session> Session::load(const Engine& engine, const std::filesystem::path& path) {
  const formats::ChunkFile in(path, kSessionKind, kSessionVersion);
  const Json state = read_json(in, "state");
  try {
    check_same(in, "model", state.at("model"), engine.fingerprint());
    check_same(in, "tokenizer", state.at("tokenizer"), engine.tokenizer().fingerprint());
    check_same(in, "adapter", state.at("adapter"), engine.adapter_fingerprint());
    const auto options = options_from_json<policy::PolicyOptions>(state.at("options"));
    auto session = std::make_unique<Session>(engine, options);
    session->sampling_ = sampling_from_json(state.at("sampling"));
    session->sampler_ = model::Sampler(session->sampling_);
    session->sampler_.load_state(state.at("sampler").get<std::string>());
    session->sources_ = sources_from_json(read_json(in, "sources"));
    session->policy_->load(in);
    DSRASQ_CHECK(session->position() == state.at("position").get<int64_t>(), kBadInput, kWhere,
                 path.string(), ": the memory is at another position than the session");
    if (session->position() > 0) {
      at::Tensor last = at::empty({1, engine.model().config().n_embd}, at::kFloat);
      in.copy_to("last_state",
                 std::as_writable_bytes(
                     std::span(last.mutable_data_ptr<float>(), static_cast<size_t>(last.numel()))));
      session->last_state_ = last.to(engine.model().device());
    }
    in.release_pages();
    return session;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadInput, kWhere, path.string() + ": " + e.what());
  }
}

}  // namespace dsrasq::session
