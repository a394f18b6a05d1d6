// Session::save and Session::load: the state of a sequence as a chunk file. Its size comes from the
// configuration (and the number of files read), so a session of a million tokens is as large as one
// of a hundred.

#include <ATen/Functions.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "dsrasq/core/error.h"
#include "dsrasq/formats/chunk_file.h"
#include "dsrasq/policy/baselines.h"
#include "dsrasq/session/session.h"

namespace dsrasq::session {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kInSessionFile = "session.session_file";
constexpr size_t kStateBytes = 16 << 10;
constexpr size_t kSourcesBytes = 64 << 10;          // of a few hundred files
constexpr int64_t kMaxPosition = int64_t{1} << 48;  // no sum of positions overflows

// JSON padded with blanks to a multiple of `step` bytes. File names need not be UTF-8, JSON must.
void add_json(formats::ChunkFileWriter& out, const char* name, const Json& json, size_t step) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + step - 1) / step * step, ' ');
  out.add(name, std::as_bytes(std::span(text)));
}

Json read_json(const formats::ChunkFile& in, const char* name) {
  const auto bytes = in.require(name);
  const auto* text = reinterpret_cast<const char*>(bytes.data());
  Json json = Json::parse(text, text + bytes.size(), nullptr, false);
  DSRASQ_CHECK(!json.is_discarded(), kBadInput, kInSessionFile, in.path().string(), ": section ",
               name, " is not JSON");
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

std::vector<Source> sources_from_json(const formats::ChunkFile& in, int64_t position) {
  std::vector<Source> sources;
  int64_t end = 0;
  for (const Json& s : read_json(in, "sources")) {
    sources.push_back(
        {s.at("path"), s.at("bytes"), s.at("fingerprint"), s.at("first_token"), s.at("n_tokens")});
    const Source& source = sources.back();
    DSRASQ_CHECK(
        source.n_tokens >= 0 && source.first_token >= end && source.first_token <= position &&
            source.n_tokens <= position - source.first_token,
        kBadInput, kInSessionFile, in.path().string(), ": ", source.path, " is said to be ",
        source.n_tokens, " tokens from position ", source.first_token, " of ", position);
    end = source.first_token + source.n_tokens;
  }
  return sources;
}

// Before anything is reserved: the file must hold what its options describe.
void check_size(const formats::ChunkFile& in, const Engine& engine,
                const policy::PolicyOptions& options) {
  policy::check_options(options);
  check_can_be_saved(options);
  if (options.name == "full") return;  // grows with the position, which it checks itself
  const size_t planned = policy::planned_bytes(options, engine.model().shape(), engine.adapter());
  DSRASQ_CHECK(planned <= in.size_bytes(), kBadInput, kInSessionFile, in.path().string(), " has ",
               in.size_bytes(), " bytes, its options describe a memory of ", planned);
}

at::Tensor read_last_state(const formats::ChunkFile& in, int64_t n_embd) {
  at::Tensor last = at::empty({1, n_embd}, at::kFloat);
  const std::span values(last.mutable_data_ptr<float>(), static_cast<size_t>(n_embd));
  in.copy_to("last_state", std::as_writable_bytes(values));
  for (const float value : values)
    DSRASQ_CHECK(std::isfinite(value), kBadInput, kInSessionFile, in.path().string(),
                 ": section last_state holds ", value);
  return last;
}

// Who uses a value says what is wrong with it, as of an option or without the file that has it.
[[noreturn]] void refuse(const formats::ChunkFile& in, const Error& error) {
  const std::string_view what = error.what();
  const bool is_of_file =
      error.code() == ErrorCode::kInvalidArgument || error.code() == ErrorCode::kBadInput;
  if (!is_of_file || what.find(in.path().string()) != std::string_view::npos) throw error;
  throw Error(ErrorCode::kBadInput, kInSessionFile,
              concat(in.path().string(), ": ", what.substr(what.find("] ") + 2)));
}

void check_same(const formats::ChunkFile& in, const char* what, const std::string& saved,
                const std::string& here) {
  DSRASQ_CHECK(saved == here, kBadInput, kInSessionFile, in.path().string(),
               " was made with another ", what, " (", saved.empty() ? "none" : saved,
               "), here it is ", here.empty() ? "none" : here);
}

}  // namespace

void check_can_be_saved(const policy::PolicyOptions& options) {
  DSRASQ_CHECK(options.name != "oracle", kInvalidArgument, kInSessionFile,
               "--policy oracle looks at all keys of the sequence, which no session file holds");
  DSRASQ_CHECK(!policy::is_baseline(options.name), kInvalidArgument, kInSessionFile, "--policy ",
               options.name, " is there to compare with; its sessions cannot be saved");
}

void Session::save(const std::filesystem::path& path) const {
  check_can_be_saved(options_);
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
    const auto position = state.at("position").get<int64_t>();
    DSRASQ_CHECK(position >= 0 && position <= kMaxPosition, kBadInput, kInSessionFile,
                 path.string(), ": its position is ", position);
    check_size(in, engine, options);
    auto session = std::make_unique<Session>(engine, options);
    session->sampling_ = sampling_from_json(state.at("sampling"));
    session->sampler_ = model::Sampler(session->sampling_);
    session->sampler_.load_state(state.at("sampler").get<std::string>(),
                                 engine.model().config().vocab_size);
    session->sources_ = sources_from_json(in, position);
    session->policy_->load(in);
    DSRASQ_CHECK(session->position() == position, kBadInput, kInSessionFile, path.string(),
                 ": the memory is at another position than the session");
    if (position > 0)
      session->last_state_ =
          read_last_state(in, engine.model().config().n_embd).to(engine.model().device());
    in.release_pages();
    return session;
  } catch (const nlohmann::json::exception& e) {
    throw Error(ErrorCode::kBadInput, kInSessionFile, path.string() + ": " + e.what());
  } catch (const Error& e) {
    refuse(in, e);
  }
}

}  // namespace dsrasq::session
