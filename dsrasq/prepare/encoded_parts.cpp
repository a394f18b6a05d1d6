#include "dsrasq/prepare/encoded_parts.h"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>
#include <sstream>

#include "dsrasq/core/error.h"
#include "dsrasq/core/file.h"
#include "dsrasq/core/parallel.h"
#include "dsrasq/core/process.h"
#include "dsrasq/train/token_cache.h"

namespace dsrasq::prepare {
namespace {

using Json = nlohmann::ordered_json;
using train::TokenCache;

constexpr uint64_t kPartBytes = 4 << 20;

std::vector<EncodedPart> plan_parts(const UnitSource& units, const PartPlace& place) {
  std::vector<EncodedPart> parts;
  uint64_t bytes = kPartBytes;
  for (size_t i = 0; i < units.size(); ++i) {
    if (bytes >= kPartBytes) {
      const std::string name = std::to_string(parts.size());
      parts.push_back({place.folder / (name + ".tokens"), place.folder / (name + ".jsonl"), i, i});
      bytes = 0;
    }
    bytes += units.weight(i);
    parts.back().end = i + 1;
  }
  return parts;
}

std::string source_of(const PartPlace& place, const EncodedPart& part) {
  return concat(place.identity, ' ', part.begin, ' ', part.end);
}

// The tokens are written last, so what has them is whole.
bool is_made(const EncodedPart& part, const PartPlace& place) {
  std::error_code ignored;
  if (!TokenCache::is_one(part.tokens) || !std::filesystem::exists(part.rows, ignored))
    return false;
  try {
    const TokenCache cache(part.tokens);
    return cache.source() == source_of(place, part) && cache.vocabulary() == place.vocabulary;
  } catch (const Error&) {  // damaged: it is made again
    return false;
  }
}

void make_part(const UnitSource& units, const PartPlace& place, const EncodedPart& part) {
  std::vector<std::vector<int32_t>> documents;
  std::string rows;
  for (size_t i = part.begin; i < part.end; ++i) {
    check_interrupt();
    EncodedUnit unit = units.encode(i);
    documents.push_back(std::move(unit.ids));
    rows += unit.row + '\n';
  }
  write_file(part.rows, rows);
  train::write_token_cache(part.tokens, place.vocabulary, source_of(place, part), documents);
}

std::vector<int64_t> unit_tokens(const std::vector<EncodedPart>& parts) {
  std::vector<int64_t> tokens;
  for (const EncodedPart& part : parts) {
    const TokenCache cache(part.tokens);
    for (int64_t i = 0; i < cache.n_documents(); ++i)
      tokens.push_back(cache.end(i) - cache.begin(i));
  }
  return tokens;
}

void write_rows(const std::filesystem::path& path, const std::vector<EncodedPart>& parts,
                const std::vector<int64_t>& tokens, const std::vector<int64_t>& ends) {
  AtomicFileWriter out(path);
  size_t unit = 0, document = 0;
  int64_t begin = 0;
  for (const EncodedPart& part : parts) {
    check_interrupt();
    std::istringstream lines(read_file(part.rows));
    std::string text;
    for (std::string line; std::getline(lines, line); ++unit) {
      Json row = Json::parse(line);
      while (document + 1 < ends.size() && ends[document] <= begin) ++document;
      const int64_t end = begin + tokens.at(unit);
      row["document"] = document;
      row["begin"] = begin;
      row["end"] = end;
      text += row.dump() + '\n';
      begin = end;
    }
    out.write(text);
  }
  out.commit();
}

}  // namespace

std::vector<EncodedPart> encode_parts(const UnitSource& units, const PartPlace& place,
                                      const std::function<void(int64_t, int64_t)>& progress) {
  const std::vector<EncodedPart> parts = plan_parts(units, place);
  std::mutex mutex;
  size_t n_done = 0;
  const auto body = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const EncodedPart& part = parts[static_cast<size_t>(i)];
      if (!is_made(part, place)) make_part(units, place, part);
      const std::lock_guard lock(mutex);
      n_done += part.end - part.begin;
      if (progress) progress(static_cast<int64_t>(n_done), static_cast<int64_t>(units.size()));
    }
  };
  parallel_for(static_cast<int64_t>(parts.size()), 1, body);
  return parts;
}

std::vector<int64_t> document_ends(const std::vector<int64_t>& unit_tokens, const UnitSource& units,
                                   int64_t length) {
  std::vector<int64_t> ends;
  int64_t begin = 0, end = 0;
  const auto finish = [&] {
    for (int64_t at = begin + length; length > 0 && at < end; at += length) ends.push_back(at);
    ends.push_back(end);
    begin = end;
  };
  for (size_t i = 0; i < unit_tokens.size(); ++i) {
    if (i > 0 && units.begins_document(i)) finish();
    end += unit_tokens[i];
  }
  if (!unit_tokens.empty()) finish();
  return ends;
}

JoinedParts join_parts(const std::vector<EncodedPart>& parts, const UnitSource& units,
                       const PartPlace& place, const JoinOptions& options) {
  const std::vector<int64_t> tokens = unit_tokens(parts);
  const std::vector<int64_t> ends = document_ends(tokens, units, options.length);
  std::vector<std::filesystem::path> paths;
  for (const EncodedPart& part : parts) paths.push_back(part.tokens);
  train::join_token_caches(options.tokens, place.vocabulary, place.identity, ends, paths);
  write_rows(options.rows, parts, tokens, ends);
  JoinedParts joined{.n_units = static_cast<int64_t>(tokens.size()),
                     .n_documents = static_cast<int64_t>(ends.size()),
                     .n_tokens = ends.empty() ? 0 : ends.back()};
  for (size_t i = 0; i < ends.size(); ++i) {
    const int64_t size = ends[i] - (i == 0 ? 0 : ends[i - 1]);
    joined.n_blocks += (size + options.block - 1) / options.block;
  }
  return joined;
}

}  // namespace dsrasq::prepare
