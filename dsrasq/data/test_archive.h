#pragma once

// A tar archive for tests.

#include <cstdio>
#include <string>

#include "dsrasq/data/test_files.h"

namespace dsrasq::data {

/// A file of an archive: header, bytes and fill.
inline std::string tar_member(const std::string& name, const std::string& bytes, char type = '0') {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  char size[12];
  std::snprintf(size, sizeof size, "%011zo", bytes.size());
  header.replace(124, 11, size);
  header[156] = type;
  header.replace(257, 8,
                 std::string("ustar\0"
                             "00",
                             8));
  header.replace(148, 8, std::string(8, ' '));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char checksum[8];
  std::snprintf(checksum, sizeof checksum, "%06o", sum);
  header.replace(148, 7, std::string(checksum, 7));
  std::string fill((512 - bytes.size() % 512) % 512, '\0');
  return header + bytes + fill;
}

}  // namespace dsrasq::data
