// The element types of the safetensors format that are also types of stored tensors.
#pragma once
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <array>
#include <string_view>
#include <utility>

namespace alphaform {

inline constexpr std::array<std::pair<std::string_view, dtype>, 12> safetensors_types{{{"F32", dtype::f32},
                                                                                       {"F16", dtype::f16},
                                                                                       {"BF16", dtype::bf16},
                                                                                       {"F64", dtype::f64},
                                                                                       {"I64", dtype::i64},
                                                                                       {"I32", dtype::i32},
                                                                                       {"I16", dtype::i16},
                                                                                       {"I8", dtype::i8},
                                                                                       {"U8", dtype::u8},
                                                                                       {"BOOL", dtype::boolean},
                                                                                       {"F8_E4M3", dtype::f8_e4m3},
                                                                                       {"F8_E5M2", dtype::f8_e5m2}}};

}  // namespace alphaform
