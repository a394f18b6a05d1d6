#pragma once

// The classes of Unicode 18 that sacreBLEU's `intl` tokenizer tells apart.

#include <cstdint>

namespace dsrasq::metrics {

enum class IntlClass : uint8_t {
  kOther,
  kNumber,       ///< \p{N}
  kPunctuation,  ///< \p{P}
  kSymbol,       ///< \p{S}
};

IntlClass intl_class(char32_t value);

}  // namespace dsrasq::metrics
