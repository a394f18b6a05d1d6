#pragma once

// Texts as tokens in part files, so that a run which stopped goes on where it was. A part is a
// function of its texts alone, so it does not matter how many are made at once.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace dsrasq::prepare {

/// A text as tokens, and a JSON object in one line that says what is known of it.
struct EncodedUnit {
  std::vector<int32_t> ids;
  std::string row;
};

/// The texts of a data set in their order. Const calls may run on several threads.
class UnitSource {
 public:
  virtual ~UnitSource() = default;
  virtual size_t size() const = 0;
  /// About the bytes of text that a unit is made of: decides where parts end.
  virtual uint64_t weight(size_t index) const = 0;
  /// False where a unit goes on in the document of the one before it.
  virtual bool begins_document(size_t index) const = 0;
  virtual EncodedUnit encode(size_t index) const = 0;
};

/// Where parts go, and what they are parts of.
struct PartPlace {
  std::filesystem::path folder;
  std::string identity;    ///< of everything that decides what the parts hold
  std::string vocabulary;  ///< the tokenizer's fingerprint
};

struct EncodedPart {
  std::filesystem::path tokens;  ///< a token cache with a document for each unit
  std::filesystem::path rows;    ///< a line for each unit
  size_t begin = 0, end = 0;     ///< its units
};

/// All units in part files of a few megabytes of text; parts that are there, whole and of the same
/// identity are not made again. `progress` gets units done and in all, from one thread at a time.
std::vector<EncodedPart> encode_parts(const UnitSource& units, const PartPlace& place,
                                      const std::function<void(int64_t, int64_t)>& progress);

/// Where the documents of a data set end among its tokens: a document goes from a unit that begins
/// one to the next such, and is cut behind every `length` tokens (0: never).
std::vector<int64_t> document_ends(const std::vector<int64_t>& unit_tokens, const UnitSource& units,
                                   int64_t length);

/// What `join_parts` wrote.
struct JoinedParts {
  int64_t n_units = 0, n_documents = 0, n_tokens = 0;
  int64_t n_blocks = 0;  ///< of `block` tokens or, at a document's end, fewer
};

struct JoinOptions {
  std::filesystem::path tokens, rows;  ///< files to write
  int64_t length = 0;                  ///< see document_ends
  int64_t block = 512;                 ///< tokens
};

/// The parts as one token cache, and one file of rows: each says besides which document its unit
/// begins in, and between which tokens of all it stands (`document`, `begin`, `end`).
JoinedParts join_parts(const std::vector<EncodedPart>& parts, const UnitSource& units,
                       const PartPlace& place, const JoinOptions& options);

}  // namespace dsrasq::prepare
