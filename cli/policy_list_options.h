#pragma once

#include <string_view>

#include "dsrasq/policy/factory.h"

namespace dsrasq::cli {

/// Policy options of a command that compares several: `--policy` is a list.
struct PolicyListOptions {
  policy::PolicyOptions policy;

  template <class V>
  void visit(V&& v) {
    policy.visit([&v](auto& field, const char* name, const char* help) {
      const bool is_list = std::string_view(name) == "policy";
      v(field, name,
        is_list ? "policies by commas, their own options after colons: full,dsrasq:topk=64" : help);
    });
  }
};

}  // namespace dsrasq::cli
