#include "dsrasq/metrics/intl_class.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>

namespace dsrasq::metrics {
namespace {

struct ClassRange {
  char32_t first, last;
  IntlClass value;
};

// Assigned after Unicode 15, the version of the utf8proc of a stable distribution; in order.
constexpr IntlClass kN = IntlClass::kNumber;
constexpr IntlClass kP = IntlClass::kPunctuation;
constexpr IntlClass kS = IntlClass::kSymbol;
constexpr ClassRange kNewer[] = {
    {0x1B4E, 0x1B4F, kP},   {0x1B7F, 0x1B7F, kP},   {0x20C1, 0x20C4, kS},   {0x2427, 0x2429, kS},
    {0x2B96, 0x2B96, kS},   {0x2E60, 0x2E63, kP},   {0x2FFC, 0x2FFF, kS},   {0x31E4, 0x31E5, kS},
    {0x31EF, 0x31EF, kS},   {0xFBC3, 0xFBD2, kS},   {0xFD90, 0xFD91, kS},   {0xFDC8, 0xFDCE, kS},
    {0x10D40, 0x10D49, kN}, {0x10D6E, 0x10D6E, kP}, {0x10D8E, 0x10D8F, kS}, {0x10EC9, 0x10ECA, kS},
    {0x10ED0, 0x10ED0, kP}, {0x10ED1, 0x10ED8, kS}, {0x113D4, 0x113D5, kP}, {0x113D7, 0x113D8, kP},
    {0x116D0, 0x116E3, kN}, {0x11BE1, 0x11BE1, kP}, {0x11BF0, 0x11BF9, kN}, {0x11DE0, 0x11DE9, kN},
    {0x1246F, 0x1246F, kN}, {0x12475, 0x1247F, kN}, {0x12550, 0x12686, kN}, {0x16130, 0x16139, kN},
    {0x16D6D, 0x16D6F, kP}, {0x16D70, 0x16D79, kN}, {0x16FF4, 0x16FF6, kN}, {0x1CC00, 0x1CCEF, kS},
    {0x1CCF0, 0x1CCF9, kN}, {0x1CCFA, 0x1CCFC, kS}, {0x1CD00, 0x1CEB3, kS}, {0x1CEBA, 0x1CED0, kS},
    {0x1CED2, 0x1CED4, kS}, {0x1CEDD, 0x1CEFD, kS}, {0x1D1EB, 0x1D1FF, kS}, {0x1D253, 0x1D25A, kS},
    {0x1D25D, 0x1D25E, kS}, {0x1D260, 0x1D27F, kS}, {0x1DB00, 0x1DB1C, kS}, {0x1E5F1, 0x1E5FA, kN},
    {0x1E5FF, 0x1E5FF, kP}, {0x1F1AE, 0x1F1AE, kS}, {0x1F6D8, 0x1F6D9, kS}, {0x1F777, 0x1F77A, kS},
    {0x1F7DA, 0x1F7DB, kS}, {0x1F7F1, 0x1F7FF, kS}, {0x1F8B2, 0x1F8BB, kS}, {0x1F8C0, 0x1F8C1, kS},
    {0x1F8D0, 0x1F8D8, kS}, {0x1FA54, 0x1FA57, kS}, {0x1FA89, 0x1FA8F, kS}, {0x1FABE, 0x1FABE, kS},
    {0x1FAC6, 0x1FAC6, kS}, {0x1FAC8, 0x1FAC8, kS}, {0x1FACC, 0x1FACD, kS}, {0x1FADC, 0x1FADD, kS},
    {0x1FADF, 0x1FADF, kS}, {0x1FAE9, 0x1FAEB, kS}, {0x1FAEF, 0x1FAEF, kS}, {0x1FAF9, 0x1FAFA, kS},
    {0x1FBCB, 0x1FBEF, kS}, {0x1FBFA, 0x1FBFA, kS}};

}  // namespace

IntlClass intl_class(char32_t value) {
  const ClassRange* range =
      std::lower_bound(std::begin(kNewer), std::end(kNewer), value,
                       [](const ClassRange& r, char32_t wanted) { return r.last < wanted; });
  if (range != std::end(kNewer) && value >= range->first) return range->value;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(value))) {
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return IntlClass::kNumber;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO: return IntlClass::kPunctuation;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
    case UTF8PROC_CATEGORY_SO: return IntlClass::kSymbol;
    default: return IntlClass::kOther;
  }
}

}  // namespace dsrasq::metrics
