// Included by index_scan.cpp once per instruction set, and once more for AVX-512 VNNI, inside a
// namespace that defines `load_keys` and `add_dots`; hence no include guard and no includes.

/// A part of a page: keys with 128 added to each byte, so that they are unsigned. Four bytes of a
/// key stand in a lane.
template <int kGroups>
struct KeyPart {
  Int32s group[kGroups == 0 ? kMaxIndexDim / 4 : kGroups];
};

template <int kGroups>
static HWY_INLINE void load_key_part(const int8_t* keys, int groups, KeyPart<kGroups>& part) {
  const int n = kGroups == 0 ? groups : kGroups;
#pragma GCC unroll 8
  for (int g = 0; g < n; ++g) part.group[g] = load_keys(keys + g * 64);
}

/// z of the lanes of one key part. kGroups and kHeads of 0 stand for the run-time numbers.
template <int kGroups, int kHeads>
static HWY_INLINE Floats score_part(const ScanQuery& query, const KeyPart<kGroups>& part,
                                    Floats key_scale, int groups, int heads) {
  const FloatTag d;
  const Int32Tag di;
  const int n_groups = kGroups == 0 ? groups : kGroups;
  const int n_heads = kHeads == 0 ? heads : kHeads;
  auto z = hn::Zero(d);
#pragma GCC unroll 8
  for (int h = 0; h < n_heads; ++h) {
    auto dot = hn::Set(di, query.bias[h]);
#pragma GCC unroll 8
    for (int g = 0; g < n_groups; ++g)
      dot = add_dots(dot, part.group[g], query.codes[h * n_groups + g]);
    const auto relu = hn::ConvertTo(d, hn::Max(dot, hn::Zero(di)));
    const auto term = hn::Mul(hn::Set(d, query.weight[h]), relu);
    z = h == 0 ? term : hn::Add(z, term);
  }
  return hn::Add(hn::Mul(key_scale, z), hn::Zero(d));
}

/// Calls sink(query index, page, part, z, visible lanes of the part) for all that is visible.
template <int kGroups, int kHeads, class Sink>
static HWY_INLINE void for_each_part(const ScanPart& scan, const Sink& sink) {
  const FloatTag d;
  const IndexPool& pool = *scan.pool;
  const int groups = pool.dim / 4;
  for (int64_t o = scan.begin; o < scan.end; ++o) {
    const int32_t page = scan.order[o];
    const int64_t first = pool.page_first_position[page];
    const int64_t count = pool.page_count[page];
    const int8_t* keys = pool.keys + page * kPageTokens * pool.dim;
    for (int part = 0; part < kParts; ++part) {
      KeyPart<kGroups> key_part;
      load_key_part<kGroups>(keys + part * kLanes * 4, groups, key_part);
      const auto key_scale = hn::LoadU(d, pool.key_scale + page * kPageTokens + part * kLanes);
      for (int q = 0; q < scan.n_queries; ++q) {
        const ScanQuery& query = scan.queries[q];
        const int64_t visible = HWY_MIN(query.limit - first, count - 1) + 1 - part * kLanes;
        if (visible <= 0) continue;
        const auto z =
            score_part<kGroups, kHeads>(query, key_part, key_scale, groups, scan.n_heads);
        sink(q, page, part, z, visible);
      }
    }
  }
}

/// for_each_part with the sizes of the default retriever known to the compiler.
template <class Sink>
static HWY_INLINE void for_each_part_any_size(const ScanPart& scan, const Sink& sink) {
  if (scan.pool->dim == 32 && scan.n_heads == 4)
    for_each_part<8, 4>(scan, sink);
  else
    for_each_part<0, 0>(scan, sink);
}

// The lambdas are inlined by force: a call would empty the vector registers of the loop.
static void collect(const ScanPart& scan) {
  for_each_part_any_size(
      scan, [&](int q, int32_t page, int part, Floats z, int64_t visible) HWY_ATTR
      __attribute__((always_inline)) {
        const FloatTag d;
        ScanQuery& query = scan.queries[q];
        if (visible < kLanes)
          z = hn::IfThenElse(hn::FirstN(d, static_cast<size_t>(visible)), z,
                             hn::Set(d, kMinusInfinity));
        if (query.wants_mass) add_lane_mass(query, part, z);
        const auto passes = hn::Gt(z, hn::Set(d, query.threshold));
        if (!hn::AllFalse(d, passes))
          add_candidates(query, z, page * static_cast<int>(kPageTokens) + part * kLanes);
      });
}

static void score(const ScanPart& scan, float* z_out, int64_t n_slots) {
  const FloatTag d;
  for (int q = 0; q < scan.n_queries; ++q)
    for (int64_t o = scan.begin; o < scan.end; ++o)
      for (int part = 0; part < kParts; ++part)
        hn::StoreU(hn::Set(d, kMinusInfinity), d,
                   z_out + q * n_slots + scan.order[o] * kPageTokens + part * kLanes);
  for_each_part_any_size(
      scan, [&](int q, int32_t page, int part, Floats z, int64_t visible) HWY_ATTR
      __attribute__((always_inline)) {
        const FloatTag tag;
        if (visible < kLanes)
          z = hn::IfThenElse(hn::FirstN(tag, static_cast<size_t>(visible)), z,
                             hn::Set(tag, kMinusInfinity));
        hn::StoreU(z, tag, z_out + q * n_slots + page * kPageTokens + part * kLanes);
      });
}
