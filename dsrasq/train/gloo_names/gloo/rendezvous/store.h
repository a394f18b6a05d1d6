#pragma once

// LibTorch's wheel holds Gloo and ProcessGroupGloo.hpp, but not the headers of Gloo that the latter
// includes. This folder declares the names that it mentions. It uses them through pointers only,
// and nothing of them is made or called on this side, so that their layout does not matter.

#include <chrono>
#include <string>
#include <vector>

namespace gloo::rendezvous {

class Store {
 public:
  virtual ~Store() = default;
  virtual void set(const std::string& key, const std::vector<char>& value) = 0;
  virtual std::vector<char> get(const std::string& key) = 0;
  virtual void wait(const std::vector<std::string>& keys) = 0;
  virtual void wait(const std::vector<std::string>& keys,
                    const std::chrono::milliseconds& timeout) = 0;
};

}  // namespace gloo::rendezvous
