#pragma once

// What `dsrasq data index` can be told.

#include <cstdint>
#include <string>

namespace dsrasq::prepare {

struct IndexOptions {
  std::string input;
  std::string output;
  std::string kind = "flat";
  int64_t block = 512;
  int64_t neighbours = 16;
  double max_similarity = 0.95;
  std::string labels;

  template <class Visit>
  void visit(Visit&& visit) {
    visit(input, "DATA", "a folder of data prepare, or a token file");
    visit(output, "output", "the index to write");
    visit(kind, "kind", "of the FAISS index: flat (exact), ivf or hnsw");
    visit(block, "block", "tokens of a block");
    visit(neighbours, "neighbours", "most blocks of other documents to keep for each block");
    visit(max_similarity, "max-similarity", "blocks more alike than this are copies, and left out");
    visit(labels, "labels", "a JSON Lines file to write: each block with its nearest ones");
  }
};

}  // namespace dsrasq::prepare
