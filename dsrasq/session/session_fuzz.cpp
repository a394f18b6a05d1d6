// Loads session files that the fuzzer's edits made of good ones, every checksum right, so that what
// is checked after the checksums is reached; then goes on from what was accepted.
//
//   input = u8 which of the good sessions, edit...
//   edit  = u8 section, u8 kind, u16 length, bytes (those that are left, when fewer)
//
// Run with the repository root as working directory.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/core/hash.h"
#include "dsrasq/formats/fuzz_file.h"
#include "dsrasq/session/session.h"
#include "dsrasq/session/tiny_engine.h"

namespace dsrasq::session {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kRead = 1020;    // four tokens before the memory changes
constexpr int64_t kGenerated = 8;  // so that it does
const model::SamplingConfig kSampling{.temperature = 0.8, .repeat_penalty = 1.1};

using Section = std::pair<std::string, std::string>;
using Sections = std::vector<Section>;

fs::path good_session(const Engine& engine, const policy::PolicyOptions& options,
                      const fs::path& path) {
  Session session(engine, options);
  session.policy().set_probing(options.retention == "question");
  std::vector<int32_t> ids(static_cast<size_t>(kRead));
  for (size_t i = 0; i < ids.size(); ++i)
    ids[i] = static_cast<int32_t>(3 + i * i % (kTinyVocab - 6));
  session.sources().push_back({"a.txt", 5000, "0123456789abcdef", 1, kRead - 1});
  session.read(ids);
  session.generate({.max_tokens = 0, .sampling = kSampling});
  session.save(path);
  return path;
}

/// The model and the good sessions of every kind of memory.
struct Fixture {
  Fixture() : folder(fs::temp_directory_path() / concat("session_fuzz.", ::getpid())) {
    fs::create_directories(folder);
    engine = std::make_unique<Engine>(make_tiny_engine(folder));
    for (const auto& [name, retention] :
         std::vector<std::pair<std::string, std::string>>{{"dsrasq", "recency"},
                                                          {"dsrasq", "question"},
                                                          {"random", "score"},
                                                          {"recency", "recency"},
                                                          {"window", "recency"},
                                                          {"full", "recency"}}) {
      const formats::ChunkFile file(
          good_session(*engine, tiny_options(name, retention), folder / "good.dsr"), kSessionKind,
          kSessionVersion);
      Sections& sections = sessions.emplace_back();
      for (const std::string& section : file.names()) {
        const auto bytes = file.require(section);
        std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (text.ends_with(' ')) text.erase(text.find_last_not_of(' ') + 1);  // JSON is padded
        sections.emplace_back(section, std::move(text));
      }
    }
    fs::remove_all(folder);
  }
  fs::path folder;
  std::unique_ptr<Engine> engine;
  std::vector<Sections> sessions;
};

void overwrite(std::string& bytes, std::string_view edit) {
  uint32_t offset = 0;
  if (edit.size() <= sizeof(offset) || bytes.empty()) return;
  std::memcpy(&offset, edit.data(), sizeof(offset));
  edit.remove_prefix(sizeof(offset));
  const size_t begin = offset % bytes.size();
  edit.copy(bytes.data() + begin, std::min(edit.size(), bytes.size() - begin));
}

void merge_json(std::string& bytes, std::string_view edit) {
  auto json = nlohmann::ordered_json::parse(bytes, nullptr, false);
  const auto patch = nlohmann::ordered_json::parse(edit, nullptr, false);
  if (json.is_discarded() || patch.is_discarded()) return;
  json.merge_patch(patch);
  bytes = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void edit_section(Section& section, uint8_t kind, std::string_view edit) {
  switch (kind % 5) {
    case 0: return overwrite(section.second, edit);
    case 1: return merge_json(section.second, edit);
    case 2: section.second = edit; return;
    case 3: section.second += edit; return;
    default: section.first = edit;
  }
}

Sections edited(Sections sections, std::string_view edits) {
  while (edits.size() > 4) {
    uint16_t length = 0;
    std::memcpy(&length, edits.data() + 2, sizeof(length));
    const std::string_view edit = edits.substr(4, length);
    edit_section(sections[static_cast<uint8_t>(edits[0]) % sections.size()],
                 static_cast<uint8_t>(edits[1]), edit);
    edits.remove_prefix(4 + edit.size());
  }
  return sections;
}

/// A chunk file in memory (formats/chunk_file.h).
class Encoder {
 public:
  std::string encode(const Sections& sections) {
    const std::string_view kind = kSessionKind;
    text("DSRCHUNK"), number(kSessionVersion), number(static_cast<uint32_t>(kind.size()));
    text(kind), end_of_part();
    for (const auto& [name, bytes] : sections) {
      number(static_cast<uint32_t>(name.size())), text(name);
      number(static_cast<uint64_t>(bytes.size())), text(bytes), end_of_part();
    }
    number(uint32_t{0}), number(static_cast<uint64_t>(sections.size())), end_of_part();
    return std::move(out_);
  }

 private:
  void text(std::string_view bytes) { out_ += bytes; }
  template <class T>
  void number(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void end_of_part() {
    number(crc32c(std::as_bytes(std::span(out_).subspan(begin_))));
    begin_ = out_.size();
  }

  std::string out_;
  size_t begin_ = 0;
};

// A refusal names what is wrong with the file; anything else is a bug.
void check_refusal(const Error& error) {
  if (error.code() == ErrorCode::kBadInput || error.code() == ErrorCode::kResourceExhausted) return;
  std::cerr << error.what() << '\n';
  std::abort();
}

}  // namespace
}  // namespace dsrasq::session

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dsrasq::session;
  static const Fixture fixture;
  if (size == 0) return 0;
  const std::string_view edits(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string bytes =
      Encoder().encode(edited(fixture.sessions[data[0] % fixture.sessions.size()], edits));
  const dsrasq::formats::FuzzFile file(reinterpret_cast<const uint8_t*>(bytes.data()),
                                       bytes.size());
  try {
    const auto session = Session::load(*fixture.engine, file.path());
    session->policy().start_recording();
    session->generate({.max_tokens = kGenerated, .sampling = kSampling});
    session->policy().take_recording();
  } catch (const dsrasq::Error& error) {
    check_refusal(error);
  }
  return 0;
}
