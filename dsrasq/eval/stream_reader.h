#pragma once

// One stream read under one policy, and sessions that have read the same and leave it as it is.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "dsrasq/session/session.h"

namespace dsrasq::eval {

/// Reads when it has to and not before: what is added last and never asked about costs nothing.
class StreamReader {
 public:
  /// `engine` must outlive this.
  StreamReader(const session::Engine& engine, const policy::PolicyOptions& options);
  ~StreamReader();
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  /// What comes next in the stream.
  void add(std::span<const int32_t> ids);
  int64_t size() const { return static_cast<int64_t>(ids_.size()); }

  /// Whether `fork` has to read the whole stream again: the policy's sessions cannot be saved.
  bool replays() const { return !can_be_saved_; }

  /// A session that has read the stream so far. What it goes on to read or generate changes nothing
  /// here: it is restored from a file of this one's state, the same in every bit on the CPU, or
  /// where there can be none has read the stream from the start. Throws as Session does.
  std::unique_ptr<session::Session> fork();

  /// Reads `ids` as what comes next and returns the sum of -log p over them. Something was added
  /// before.
  double read_scored(std::span<const int32_t> ids);

 private:
  session::Session& caught_up();

  const session::Engine& engine_;
  policy::PolicyOptions options_;
  bool can_be_saved_;
  std::vector<int32_t> ids_;
  std::unique_ptr<session::Session> session_;  // has read the first n_read_ of them
  size_t n_read_ = 0;
  std::filesystem::path file_;  // of the state behind n_saved_ of them
  size_t n_saved_ = 0;
};

}  // namespace dsrasq::eval
