#pragma once

// What the tests of this folder say about texts.

#include <gtest/gtest.h>

#include <string>

namespace dsrasq::cli {

inline testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << '"' << text << "\" lacks \"" << part << '"';
}

}  // namespace dsrasq::cli
