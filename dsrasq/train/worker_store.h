#pragma once

// The board that the processes of a training share: short texts by name, served by process 0.

#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dsrasq/train/worker_place.h"

namespace c10d {
class Store;
}

namespace dsrasq::train {

/// May be used by several threads. Throws std::exception when the server is gone.
class WorkerStore {
 public:
  /// Throws kUnavailable naming the address when nobody answers there for `patience`, or
  /// it cannot be listened on, and kInterrupted after Ctrl-C.
  WorkerStore(const WorkerPlace& place, std::chrono::milliseconds patience);
  ~WorkerStore();

  void set(const std::string& name, const std::string& text);
  /// What is at `name` afterwards: `text`, unless there was one already.
  std::string set_once(const std::string& name, const std::string& text);
  /// Nothing while nobody has set it.
  std::optional<std::string> get(const std::string& name);
  /// Adds to a number, which is 0 at first: the sum.
  int64_t add(const std::string& name, int64_t value);

  /// A connection of its own, for LibTorch's process groups.
  c10::intrusive_ptr<c10d::Store> connection() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Of a message of LibTorch's, which goes on with where in it that happened.
std::string first_line(std::string_view message);

}  // namespace dsrasq::train
