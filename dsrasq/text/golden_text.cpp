#include "dsrasq/text/golden_text.h"

#include <string_view>

#include "dsrasq/core/file.h"
#include "dsrasq/text/utf8.h"

namespace dsrasq::text {
namespace {

constexpr size_t kChunkBytes = 16384;

struct Range {
  char32_t first, last;
};
const std::vector<Range> kRanges = {
    {0x20, 0x7E},       {0xA0, 0x24F},      {0x370, 0x52F},   {0x590, 0x6FF},   {0x900, 0xBFF},
    {0xE00, 0xE7F},     {0x1100, 0x11FF},   {0x2000, 0x206F}, {0x2070, 0x218F}, {0x2190, 0x27BF},
    {0x3000, 0x30FF},   {0x4E00, 0x9FFF},   {0xAC00, 0xD7A3}, {0xFB00, 0xFDFF}, {0xFE00, 0xFFEF},
    {0x1F300, 0x1FAFF}, {0x1D400, 0x1D7FF}, {0x00, 0x1F},     {0x80, 0x9F},     {0xE0000, 0xE007F},
    {0xE000, 0xF8FF}};
const std::vector<std::string> kSpaces = {
    " ",        "\n",           "\t",          "\r\n", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\x83",
    "\xC2\x85", "\xE1\xA0\x8E", "\xE2\x80\x8B"};
const std::vector<std::string> kTails = {"'s",  "'S",  "'t", "'re",       "'RE", "'Ve", "'m",
                                         "'ll", "'lL", "'D", "'\xC5\xBF", "'",   "'x",  "''s"};
const std::vector<std::string> kSpecials = {
    "<|im_start|>", "<|im_end|>", "<|endoftext|>",   "<|begin_of_text|>",
    "<|eot_id|>",   "<bos>",      "<eos>",           "<unk>",
    "<s>",          "</s>",       "<start_of_turn>", "<h1>",
    "</h1>",        "<table>",    "\xE2\x96\x81",    "\xE2\x96\x81\xE2\x96\x81",
    "<0x41>",       "<mask>",     " <mask> ",        "  <left>  ",
    "  <right>  ",  "<whole>",    "a<whole>",        "<whole> b",
    "NorM\xC3\x89", "\t\t",       "<|im_",           "<<bos>>"};

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> all = [] {
    const std::string text = read_file(std::string(kGoldenFolder) + "/seeds.txt");
    constexpr std::string_view kSeparator = "\n%%\n";
    std::vector<std::string> out;
    for (size_t at = 0; at <= text.size();) {
      const size_t end = std::min(text.find(kSeparator, at), text.size());
      out.push_back(text.substr(at, end - at));
      at = end + kSeparator.size();
    }
    return out;
  }();
  return all;
}

std::string random_chars(GoldenRng& rng, Range range, uint64_t n) {
  std::string out;
  for (uint64_t i = 0; i < n; ++i)
    append_utf8(out, range.first + static_cast<char32_t>(rng.below(range.last - range.first + 1)));
  return out;
}

std::string random_bytes(GoldenRng& rng, uint64_t first, uint64_t count, uint64_t n) {
  std::string out;
  for (uint64_t i = 0; i < n; ++i) out.push_back(static_cast<char>(first + rng.below(count)));
  return out;
}

std::string repeated(const std::string& text, uint64_t n) {
  std::string out;
  for (uint64_t i = 0; i < n; ++i) out += text;
  return out;
}

// Each call draws its numbers in the order of the statements.
std::string make_piece(GoldenRng& rng) {
  const uint64_t kind = rng.below(16);
  if (kind < 6) return rng.one_of(seeds());
  switch (kind) {
    case 6: {
      const std::string& seed = rng.one_of(seeds());
      const uint64_t begin = rng.below(seed.size());
      return seed.substr(begin, 1 + rng.below(seed.size() - begin));
    }
    case 7: {
      const Range range = rng.one_of(kRanges);
      return random_chars(rng, range, 1 + rng.below(20));
    }
    case 8: return random_bytes(rng, '0', 10, 1 + rng.below(12));
    case 9: {
      const std::string& space = rng.one_of(kSpaces);
      return repeated(space, 1 + rng.below(40));
    }
    case 10: {
      const std::string& first = rng.one_of(kSpaces);
      return first + rng.one_of(kSpaces);
    }
    case 11: {
      const std::string base = random_bytes(rng, 'a', 26, 1);
      return base + random_chars(rng, {0x300, 0x36F}, 1 + rng.below(4));
    }
    case 12: return random_bytes(rng, 0, 256, 1 + rng.below(6));
    case 13: {
      const uint64_t letters = 1 + rng.below(26);
      return random_bytes(rng, 'a', letters, 1 + rng.below(600));
    }
    case 14: {
      const std::string word = random_bytes(rng, 'a', 26, rng.below(5));
      return word + rng.one_of(kTails);
    }
    default: return rng.one_of(kSpecials);
  }
}

}  // namespace

uint64_t GoldenRng::below(uint64_t n) {
  state_ += 0x9E3779B97F4A7C15ull;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return (z ^ (z >> 31)) % n;
}

std::string golden_chunk(uint64_t index) {
  GoldenRng rng(index);
  std::string text;
  while (text.size() < kChunkBytes) {
    text += make_piece(rng);
    const uint64_t glue = rng.below(8);
    text += glue < 4 ? " " : glue == 4 ? "\n" : "";
  }
  return text;
}

std::string golden_text() {
  std::string text;
  for (uint64_t index = 0; index < kGoldenChunks; ++index) text += golden_chunk(index);
  return text;
}

}  // namespace dsrasq::text
