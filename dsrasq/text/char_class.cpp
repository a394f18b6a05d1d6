#include "dsrasq/text/char_class.h"

#include <utf8proc.h>

#include <vector>

namespace dsrasq::text {
namespace {

// Nothing at or above is a letter, number or space.
constexpr char32_t kTableEnd = 0x323B0;

struct ClassRange {
  char32_t first, last;
  CharClass value;
};

// Assigned in Unicode 15.1 and 16, which the utf8proc of a stable distribution may lack.
constexpr CharClass kL = CharClass::kLetter;
constexpr CharClass kN = CharClass::kNumber;
constexpr ClassRange kNewer[] = {
    {0x1C89, 0x1C8A, kL},   {0xA7CB, 0xA7CD, kL},   {0xA7DA, 0xA7DC, kL},   {0x105C0, 0x105F3, kL},
    {0x10D4A, 0x10D65, kL}, {0x10D6F, 0x10D85, kL}, {0x10EC2, 0x10EC4, kL}, {0x11380, 0x11389, kL},
    {0x1138B, 0x1138B, kL}, {0x1138E, 0x1138E, kL}, {0x11390, 0x113B5, kL}, {0x113B7, 0x113B7, kL},
    {0x113D1, 0x113D1, kL}, {0x113D3, 0x113D3, kL}, {0x11BC0, 0x11BE0, kL}, {0x13460, 0x143FA, kL},
    {0x16100, 0x1611D, kL}, {0x16D40, 0x16D6C, kL}, {0x18CFF, 0x18CFF, kL}, {0x1E5D0, 0x1E5ED, kL},
    {0x1E5F0, 0x1E5F0, kL}, {0x2EBF0, 0x2EE5D, kL}, {0x10D40, 0x10D49, kN}, {0x116D0, 0x116E3, kN},
    {0x11BF0, 0x11BF9, kN}, {0x16130, 0x16139, kN}, {0x16D70, 0x16D79, kN}, {0x1CCF0, 0x1CCF9, kN},
    {0x1E5F1, 0x1E5FA, kN}};

CharClass class_of(char32_t value) {
  if ((value >= 0x09 && value <= 0x0D) || value == 0x85) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return CharClass::kNumber;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return CharClass::kSpace;
    default: return CharClass::kOther;
  }
}

std::vector<CharClass> make_table() {
  std::vector<CharClass> table(kTableEnd);
  for (char32_t value = 0; value < kTableEnd; ++value) table[value] = class_of(value);
  for (const ClassRange& range : kNewer)
    for (char32_t value = range.first; value <= range.last; ++value) table[value] = range.value;
  return table;
}

}  // namespace

CharClass char_class(char32_t value) {
  static const std::vector<CharClass> table = make_table();
  return value < kTableEnd ? table[value] : CharClass::kOther;
}

bool is_word_char(char32_t value) {
  constexpr char32_t kZeroWidthNonJoiner = 0x200C;
  constexpr char32_t kZeroWidthJoiner = 0x200D;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC: return true;
    default:
      return char_class(value) == CharClass::kLetter || value == kZeroWidthNonJoiner ||
             value == kZeroWidthJoiner;
  }
}

}  // namespace dsrasq::text
