#pragma once

// Several workers for tests: as threads of this process, or as processes that run one of its tests.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dsrasq/core/error.h"
#include "dsrasq/train/process_group.h"

namespace dsrasq::train {

/// A port that nobody listened at a moment ago.
inline uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  ::close(fd);
  return ntohs(address.sin_port);
}

inline WorkerPlace test_place(int64_t rank, int64_t size, uint16_t port) {
  return {.rank = rank,
          .size = size,
          .local_rank = rank,
          .local_size = size,
          .address = "127.0.0.1",
          .port = port,
          .run = "dsrasq/test/0/"};
}

/// Calls `work` in `size` threads, each with a group of its own: what each threw, or "".
inline std::vector<std::string> run_workers(
    int64_t size, const std::function<void(const std::shared_ptr<ProcessGroup>&)>& work) {
  const uint16_t port = free_port();
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      try {
        const auto group = std::make_shared<ProcessGroup>(test_place(rank, size, port), at::kCPU,
                                                          std::chrono::seconds(60));
        group->run([&] { work(group); });
      } catch (const Error& error) {
        errors[static_cast<size_t>(rank)] =
            concat(error_info(error.code()).name, ": ", error.what());
      }
    });
  for (std::thread& thread : threads) thread.join();
  return errors;
}

/// Starts the test `filter` of this program again, as worker `rank`; its process.
inline pid_t spawn_worker(const std::string& filter, int64_t rank, int64_t size, uint16_t port) {
  std::vector<std::string> words{"/proc/self/exe", "--gtest_filter=" + filter,
                                 "--gtest_also_run_disabled_tests"};
  std::vector<std::string> variables{concat("RANK=", rank),         concat("WORLD_SIZE=", size),
                                     concat("LOCAL_RANK=", rank),   "MASTER_ADDR=127.0.0.1",
                                     concat("MASTER_PORT=", port),  "TORCHELASTIC_RUN_ID=test",
                                     "TORCHELASTIC_RESTART_COUNT=0"};
  for (char** inherited = environ; *inherited != nullptr; ++inherited)
    variables.emplace_back(*inherited);
  std::vector<char*> arguments, environment;
  for (std::string& word : words) arguments.push_back(word.data());
  for (std::string& variable : variables) environment.push_back(variable.data());
  arguments.push_back(nullptr);
  environment.push_back(nullptr);
  pid_t pid = 0;
  EXPECT_EQ(
      ::posix_spawn(&pid, words[0].c_str(), nullptr, nullptr, arguments.data(), environment.data()),
      0);
  return pid;
}

/// How a process ended, as waitpid says it.
inline int status_of(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

}  // namespace dsrasq::train
