// Included in the namespace of the kernels that use it, as functions inline only into those of the
// same instructions, and lambdas have those of where they stand.

// fn(0), ..., fn(n - 1) with constant arguments: arrays indexed by them stay in registers. The
// plain path has no vectors to keep there, and sanitizers would take minutes to compile it.
template <int n, class Fn>
HWY_INLINE void unroll(Fn&& fn) {
#if HWY_TARGET == HWY_SCALAR || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  for (int i = 0; i < n; ++i) fn(i);
#else
  [&]<int... i>(std::integer_sequence<int, i...>) DSRASQ_INLINE_LAMBDA {
    (fn(std::integral_constant<int, i>{}), ...);
  }
  (std::make_integer_sequence<int, n>{});
#endif
}
