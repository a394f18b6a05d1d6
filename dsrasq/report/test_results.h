#pragma once

// Small result files for the tests.

#include <string>

#include "dsrasq/formats/test_folder.h"
#include "dsrasq/report/result_file.h"

namespace dsrasq::report {

class ResultTest : public FolderTest {
 protected:
  ResultFile result(const std::string& name, const std::string& text) const {
    return read_result(write(name, text));
  }
  /// What is said of a file with this text.
  std::string refusal(const std::string& text) const {
    return error_text([&] { read_result(write("bad.json", text)); });
  }
};

inline std::string perplexity_row(const std::string& policy, double perplexity, double retrieved,
                                  const std::string& more = "") {
  return concat(R"({"policy": ")", policy, R"(", "perplexity": )", perplexity,
                R"(, "samples": 12, "tokens": 98292, "mean_retrieved": )", retrieved,
                R"(, "cache_bytes": 1048576)", more, '}');
}

inline std::string perplexity_json(const std::string& rows, const std::string& config) {
  return concat(R"({"status": "ok", "length": 8192, "rows": [)", rows, R"(], "config": {)", config,
                "}}");
}

inline std::string needle_json(int length, const std::string& policy, const std::string& config) {
  return concat(R"({"rows": [{"length": )", length, R"(, "policy": ")", policy,
                R"(", "samples": 2, "accuracy": 0.5, "accuracy_interval": [0.1, 0.9],)",
                R"( "digit_accuracy": 0.5, "mean_retrieved": 3, "cache_bytes": 9}], "samples": [)",
                R"({"length": )", length, R"(, "policy": ")", policy,
                R"(", "depth": 0, "found": true}, {"length": )", length, R"(, "policy": ")", policy,
                R"(", "depth": 100, "found": false}], "config": {)", config, "}}");
}

}  // namespace dsrasq::report
