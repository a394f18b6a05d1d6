#pragma once

// A threshold for every layer without training: of a grid of thresholds each layer takes the one
// whose predicted cost, with a price for every token read, is least. All layers pay the same price,
// so no other thresholds with as many tokens in all are predicted to do better.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>

#include "dsrasq/train/size_credit.h"

namespace dsrasq::train {

class ThresholdFit {
 public:
  void add(int64_t layer, const LayerCosts& costs);

  struct Fitted {
    std::map<int64_t, float> thresholds;  ///< log of the least share, by layer
    double size = 0;                      ///< |S|, mean over rows and layers
    double cost = 0;                      ///< predicted KL of a row, sum over layers
  };
  /// `price` of a token read by one layer's query, in nats.
  Fitted fitted(double price) const;
  /// With the price at which |S| comes nearest to `mean_size`.
  Fitted fitted_to(double mean_size) const;

 private:
  struct Sums {
    at::Tensor cost, size;  // [G], doubles
    double rows = 0;
  };
  std::map<int64_t, Sums> layers_;
};

}  // namespace dsrasq::train
