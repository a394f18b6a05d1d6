#include "dsrasq/train/token_cache.h"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <limits>

#include "dsrasq/core/error.h"
#include "dsrasq/train/corpus_parts.h"

namespace dsrasq::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kInTokenCache = "train.token_cache";
constexpr const char* kKind = "dsrasq tokens";
constexpr uint32_t kVersion = 1;
constexpr int64_t kWritePiece = 1 << 20;  // tokens
constexpr double kBytesPerToken = 4.2;    // of English books; only splits max_tokens

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// Opens the section of the tokens, which is the last.
void begin_cache(formats::ChunkFileWriter& out, std::string_view vocabulary,
                 std::string_view source, const std::vector<int64_t>& ends, bool narrow) {
  out.add("vocabulary", bytes_of(vocabulary));
  out.add("source", bytes_of(source));
  out.add("ends", std::as_bytes(std::span(ends)));
  const int64_t n_tokens = ends.empty() ? 0 : ends.back();
  out.begin(narrow ? "tokens16" : "tokens32", static_cast<uint64_t>(n_tokens) * (narrow ? 2 : 4));
}

template <class Stored>
void append_tokens(formats::ChunkFileWriter& out, const std::vector<int32_t>& ids) {
  std::vector<Stored> piece;
  for (size_t first = 0; first < ids.size(); first += kWritePiece) {
    const size_t last = std::min(ids.size(), first + kWritePiece);
    piece.assign(ids.begin() + static_cast<int64_t>(first),
                 ids.begin() + static_cast<int64_t>(last));
    out.append(std::as_bytes(std::span(piece)));
  }
}

template <class Stored>
void copy_tokens(std::span<const std::byte> bytes, std::vector<int32_t>& ids) {
  std::vector<Stored> piece(ids.size());
  std::memcpy(piece.data(), bytes.data(), ids.size() * sizeof(Stored));
  std::copy(piece.begin(), piece.end(), ids.begin());
}

}  // namespace

TokenCache::TokenCache(const fs::path& path) : file_(path, kKind, kVersion) {
  vocabulary_ = text_of(file_.require("vocabulary"));
  source_ = text_of(file_.require("source"));
  const auto ends = file_.require("ends");
  DSRASQ_CHECK(ends.size() % sizeof(int64_t) == 0, kBadInput, kInTokenCache, path.string(),
               ": section \"ends\" has ", ends.size(), " bytes, want a multiple of 8");
  ends_.resize(ends.size() / sizeof(int64_t));
  std::memcpy(ends_.data(), ends.data(), ends.size());
  for (size_t i = 0; i < ends_.size(); ++i)
    DSRASQ_CHECK(ends_[i] >= (i == 0 ? 0 : ends_[i - 1]), kBadInput, kInTokenCache, path.string(),
                 ": document ", i, " ends before it begins");
  width_ = file_.find("tokens16") ? 2 : 4;
  tokens_ = file_.require(width_ == 2 ? "tokens16" : "tokens32");
  DSRASQ_CHECK(tokens_.size() / static_cast<size_t>(width_) == static_cast<size_t>(n_tokens()) &&
                   tokens_.size() % static_cast<size_t>(width_) == 0,
               kBadInput, kInTokenCache, path.string(), ": holds ", tokens_.size(),
               " bytes of tokens, want ", n_tokens(), " tokens of ", width_, " bytes");
}

bool TokenCache::is_one(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string head(64, '\0');
  in.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(static_cast<size_t>(in.gcount()));
  return head.starts_with("DSRCHUNK") && head.find(kKind) != std::string::npos;
}

std::vector<int32_t> TokenCache::read(int64_t first, int64_t n) const {
  DSRASQ_CHECK(first >= 0 && n >= 0 && n <= n_tokens() - first, kInvalidArgument, kInTokenCache,
               file_.path().string(), ": tokens ", first, " to ", first + n, " of ", n_tokens());
  std::vector<int32_t> ids(static_cast<size_t>(n));
  const auto bytes = tokens_.subspan(static_cast<size_t>(first * width_));
  width_ == 2 ? copy_tokens<uint16_t>(bytes, ids) : copy_tokens<int32_t>(bytes, ids);
  return ids;
}

void write_token_cache(const fs::path& path, std::string_view vocabulary, std::string_view source,
                       const std::vector<std::vector<int32_t>>& documents) {
  std::vector<int64_t> ends;
  int64_t n_tokens = 0;
  int32_t largest = 0;
  for (const auto& ids : documents) {
    ends.push_back(n_tokens += static_cast<int64_t>(ids.size()));
    for (int32_t id : ids) largest = std::max(largest, id);
  }
  const bool narrow = largest <= std::numeric_limits<uint16_t>::max();
  formats::ChunkFileWriter out(path, kKind, kVersion);
  begin_cache(out, vocabulary, source, ends, narrow);
  for (const auto& ids : documents)
    narrow ? append_tokens<uint16_t>(out, ids) : append_tokens<int32_t>(out, ids);
  out.commit();
}

void join_token_caches(const fs::path& path, std::string_view vocabulary, std::string_view source,
                       const std::vector<int64_t>& ends, const std::vector<fs::path>& parts) {
  const bool narrow = std::all_of(parts.begin(), parts.end(), [](const fs::path& part) {
    return TokenCache(part).is_narrow();
  });
  formats::ChunkFileWriter out(path, kKind, kVersion);
  begin_cache(out, vocabulary, source, ends, narrow);
  for (const fs::path& part : parts) {
    const TokenCache cache(part);
    for (int64_t first = 0; first < cache.n_tokens(); first += kWritePiece) {
      const auto ids = cache.read(first, std::min(kWritePiece, cache.n_tokens() - first));
      narrow ? append_tokens<uint16_t>(out, ids) : append_tokens<int32_t>(out, ids);
    }
  }
  out.commit();
}

void tokenise_corpus(const fs::path& corpus, const Encode& encode, const TokeniseOptions& options,
                     const fs::path& path, const std::function<void(int64_t, int64_t)>& progress) {
  const double total = static_cast<double>(options.max_tokens) * kBytesPerToken;
  const CorpusParts parts(corpus, static_cast<uint64_t>(total));
  const std::string source = concat(parts.fingerprint(), ".", options.max_tokens);
  if (TokenCache::is_one(path)) {
    const TokenCache old(path);
    if (old.source() == source && old.vocabulary() == options.vocabulary) return;
  }
  std::vector<std::vector<int32_t>> documents;
  parts.read([&](std::string_view text) {
    documents.push_back(encode(text));
    if (progress) progress(static_cast<int64_t>(documents.size()), parts.n_documents());
  });
  if (path.has_parent_path()) fs::create_directories(path.parent_path());
  write_token_cache(path, options.vocabulary, source, documents);
}

}  // namespace dsrasq::train
