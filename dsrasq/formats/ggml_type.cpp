#include "dsrasq/formats/ggml_type.h"

#include <array>

#include "dsrasq/core/error.h"

namespace dsrasq::formats {
namespace {

struct Row {
  uint32_t number;
  GgmlTypeInfo info;
};

constexpr std::array kTypes{
    Row{0, {"F32", 1, 4, true}},          Row{1, {"F16", 1, 2, true}},
    Row{2, {"Q4_0", 32, 18, true}},       Row{3, {"Q4_1", 32, 20, true}},
    Row{6, {"Q5_0", 32, 22, true}},       Row{7, {"Q5_1", 32, 24, true}},
    Row{8, {"Q8_0", 32, 34, true}},       Row{9, {"Q8_1", 32, 36, false}},
    Row{10, {"Q2_K", 256, 84, false}},    Row{11, {"Q3_K", 256, 110, false}},
    Row{12, {"Q4_K", 256, 144, true}},    Row{13, {"Q5_K", 256, 176, true}},
    Row{14, {"Q6_K", 256, 210, true}},    Row{15, {"Q8_K", 256, 292, false}},
    Row{16, {"IQ2_XXS", 256, 66, false}}, Row{17, {"IQ2_XS", 256, 74, false}},
    Row{18, {"IQ3_XXS", 256, 98, false}}, Row{19, {"IQ1_S", 256, 50, false}},
    Row{20, {"IQ4_NL", 32, 18, false}},   Row{21, {"IQ3_S", 256, 110, false}},
    Row{22, {"IQ2_S", 256, 82, false}},   Row{23, {"IQ4_XS", 256, 136, false}},
    Row{24, {"I8", 1, 1, false}},         Row{25, {"I16", 1, 2, false}},
    Row{26, {"I32", 1, 4, false}},        Row{27, {"I64", 1, 8, false}},
    Row{28, {"F64", 1, 8, false}},        Row{29, {"IQ1_M", 256, 56, false}},
    Row{30, {"BF16", 1, 2, true}},        Row{34, {"TQ1_0", 256, 54, false}},
    Row{35, {"TQ2_0", 256, 66, false}},   Row{39, {"MXFP4", 32, 17, false}},
    Row{40, {"NVFP4", 64, 36, false}},    Row{41, {"Q1_0", 128, 18, false}},
};

}  // namespace

std::optional<GgmlTypeInfo> ggml_type_info(GgmlType type) {
  for (const Row& row : kTypes) {
    if (row.number == static_cast<uint32_t>(type)) return row.info;
  }
  return std::nullopt;
}

std::string ggml_type_name(GgmlType type) {
  const auto info = ggml_type_info(type);
  return info ? info->name : concat("type ", static_cast<uint32_t>(type));
}

std::string supported_ggml_types() {
  std::string list;
  for (const Row& row : kTypes) {
    if (row.info.is_supported) list += concat(list.empty() ? "" : ", ", row.info.name);
  }
  return list;
}

int64_t ggml_row_bytes(GgmlType type, int64_t cols) {
  const auto info = ggml_type_info(type);
  DSRASQ_CHECK(info && info->is_supported, kBadInput, "formats.ggml_type", "quantisation ",
               ggml_type_name(type), " is not supported; supported are ", supported_ggml_types());
  DSRASQ_CHECK(cols >= 0 && cols % info->block == 0, kBadInput, "formats.ggml_type", "a row of ",
               cols, " weights is no whole number of ", info->name, " blocks of ", info->block);
  return cols / info->block * info->block_bytes;
}

}  // namespace dsrasq::formats
