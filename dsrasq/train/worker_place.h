#pragma once

// Which of several processes this is: what torchrun, and scripts/train_parallel, tell a process in
// its environment.

#include <cstdint>
#include <optional>
#include <string>

namespace dsrasq::train {

struct WorkerPlace {
  int64_t rank = 0, size = 1;              ///< among all processes
  int64_t local_rank = 0, local_size = 1;  ///< among those of this machine
  std::string address;                     ///< where they meet
  uint16_t port = 0;
  bool is_served = false;  ///< something else than process 0 listens at the address
  std::string run;         ///< sets this meeting apart from others at the same place
};

/// From WORLD_SIZE, RANK, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and what
/// torchrun adds. Nothing without WORLD_SIZE or when it is 1. Throws kInvalidArgument naming the
/// variable that is missing or wrong.
std::optional<WorkerPlace> worker_place();

}  // namespace dsrasq::train
