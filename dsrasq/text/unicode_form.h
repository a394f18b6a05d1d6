#pragma once

// The Unicode normalisation forms NFC, NFD, NFKC and NFKD on texts that remember their source.

#include "dsrasq/text/aligned_text.h"

namespace dsrasq::text {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

/// Linear in the text but for sorting runs of combining marks. A text that is in the form already
/// stays as it is.
void apply_unicode_form(UnicodeForm form, AlignedText& text);

}  // namespace dsrasq::text
