#pragma once

// What `dsrasq data prepare` can be told.

#include <cstdint>
#include <string>
#include <vector>

namespace dsrasq::prepare {

struct PrepareOptions {
  std::vector<std::string> inputs;
  std::string output;
  std::string format = "auto", kind = "auto";
  int64_t length = 0;
  int64_t block = 512;
  uint64_t seed = 0;
  std::string source, licence;

  template <class Visit>
  void visit(Visit&& visit) {
    visit(inputs, "INPUTS", "files in their official format, also .xz and .gz, or folders of them");
    visit(output, "output", "the folder to make");
    visit(format, "format", "auto: found from the content; dsrasq data prepare --help lists all");
    visit(kind, "kind", "auto, documents, stream, dialogue or qa");
    visit(length, "length",
          "tokens: longer documents and streams are cut there, contexts of qa grown to it; 0: as "
          "they are");
    visit(block, "block", "tokens of a block of the memory; --length is a multiple of it");
    visit(seed, "seed", "of the passages that contexts are grown with");
    visit(source, "source", "where the data is from, for the manifest");
    visit(licence, "licence", "of the data, for the manifest");
  }
};

}  // namespace dsrasq::prepare
