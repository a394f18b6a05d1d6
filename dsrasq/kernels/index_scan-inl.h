// Included by index_scan.cpp once per instruction set, and once more for AVX-512 VNNI, inside a
// namespace that defines `load_keys` and `add_dots`, and sums of int16 where DSRASQ_SCAN_PAGES is
// not 0; hence no include guard and no includes.

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

#if DSRASQ_SCAN_PAGES
/// A page of 16 keys of 32 codes.
struct ScanPage {
  const int32_t* keys;  ///< [8][16], four codes each
  /// What takes back the 64 that was added to the codes of queries, for 8 codes at a time, [4][16]:
  /// pairs of int16.
  HWY_ALIGN int32_t bias[4 * kPageTokens];
  Floats key_scale[kParts];
};

static HWY_INLINE void start_page(const IndexPool& pool, int32_t page, ScanPage& out) {
  const Int32Tag di;
  out.keys = reinterpret_cast<const int32_t*>(pool.keys + int64_t{page} * kPageTokens * 32);
  const auto raised = hn::Set(di, 0x40404040);
  for (int pair = 0; pair < 4; ++pair)
    for (int lane = 0; lane < kPageTokens; lane += kLanes) {
      const int32_t* key = out.keys + 2 * pair * kPageTokens + lane;
      const auto sum = add_halves(byte_products(raised, hn::LoadU(di, key)),
                                  byte_products(raised, hn::LoadU(di, key + kPageTokens)));
      const hn::Repartition<int16_t, Int32Tag> d16;
      hn::Store(hn::BitCast(di, hn::Neg(hn::BitCast(d16, sum))), di,
                out.bias + pair * kPageTokens + lane);
    }
  for (int part = 0; part < kParts; ++part)
    out.key_scale[part] =
        hn::LoadU(FloatTag(), pool.key_scale + int64_t{page} * kPageTokens + part * kLanes);
}

/// z of a page for a query of 4 heads. The sums of eight products are made in int16, modulo 2^16:
/// with the bias they are those of the codes as they are, at most 4 * 63 * 127, which fits. Two
/// heads and both halves of the page at a time, for what is read serves two products each.
static HWY_INLINE void score_page(const ScanQuery& query, const ScanPage& page, Floats* z) {
  constexpr int kGroups = 8, kHeads = 4, kTogether = 2;
  const FloatTag d;
  const Int32Tag di;
  // Both loops stay loops: unrolled, GCC 12 works on one half of the page after the other and keeps
  // dozens of vectors on the stack meanwhile.
#pragma GCC unroll 1
  for (int first = 0; first < kHeads; first += kTogether) {
    const int32_t* codes = query.raised + first * kGroups;
    const int32_t *keys = page.keys, *bias = page.bias;
    Int32s dot[kTogether][kParts];
#pragma GCC unroll 4
    for (int i = 0; i < kTogether * kParts; ++i) dot[i / kParts][i % kParts] = hn::Zero(di);
#pragma GCC unroll 1
    for (; bias != page.bias + 4 * kPageTokens; codes += 2, keys += 2 * kPageTokens) {
#pragma GCC unroll 2
      for (int h = 0; h < kTogether; ++h) {
        const auto a = hn::Set(di, codes[h * kGroups]), b = hn::Set(di, codes[h * kGroups + 1]);
#pragma GCC unroll 2
        for (int part = 0; part < kParts; ++part) {
          const int32_t* key = keys + part * kLanes;
          const auto sum = add_halves(byte_products(a, hn::LoadU(di, key)),
                                      byte_products(b, hn::LoadU(di, key + kPageTokens)));
          const auto whole = add_halves(sum, hn::Load(di, bias + part * kLanes));
          dot[h][part] = hn::Add(dot[h][part], sum_halves(whole));
        }
      }
      bias += kPageTokens;
    }
#pragma GCC unroll 2
    for (int h = 0; h < kTogether; ++h)
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part) {
        const auto relu = hn::ConvertTo(d, hn::Max(dot[h][part], hn::Zero(di)));
        const auto term = hn::Mul(hn::Set(d, query.weight[first + h]), relu);
        z[part] = first + h == 0 ? term : hn::Add(z[part], term);
      }
  }
#pragma GCC unroll 2
  for (int part = 0; part < kParts; ++part)
    z[part] = hn::Add(hn::Mul(page.key_scale[part], z[part]), hn::Zero(d));
}

/// `for_each_part` of the default retriever, a page at a time.
template <class Sink>
static HWY_INLINE void for_each_page(const ScanPart& scan, const Sink& sink) {
  const IndexPool& pool = *scan.pool;
  for (int64_t o = scan.begin; o < scan.end; ++o) {
    const int32_t index = scan.order[o];
    const int64_t first = pool.page_first_position[index];
    const int64_t count = pool.page_count[index];
    ScanPage page;
    start_page(pool, index, page);
    for (int q = 0; q < scan.n_queries; ++q) {
      const int64_t visible = HWY_MIN(scan.queries[q].limit - first, count - 1) + 1;
      if (visible <= 0) continue;
      Floats z[kParts];
      score_page(scan.queries[q], page, z);
#pragma GCC unroll 2
      for (int part = 0; part < kParts; ++part)
        if (visible > part * kLanes) sink(q, index, part, z[part], visible - part * kLanes);
    }
  }
}
#endif

/// for_each_part with the sizes of the default retriever known to the compiler.
template <class Sink>
static HWY_INLINE void for_each_part_any_size(const ScanPart& scan, const Sink& sink) {
  if (scan.pool->dim == 32 && scan.n_heads == 4)
#if DSRASQ_SCAN_PAGES
    for_each_page(scan, sink);
#else
    for_each_part<8, 4>(scan, sink);
#endif
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
