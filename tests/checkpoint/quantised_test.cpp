// Quantised tensors of rwkv.cpp files: blocks written bit by bit with their numbers worked out by hand, the error bound
// of a plain quantiser written here from the definition of each type, blocks that ggml wrote, and malformed sizes.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/rwkv_cpp.hpp>
#include <alphaform/error.hpp>
#include <array>
#include <cmath>
#include <cstring>
#include <random>
#include <tuple>

#include "../shared_data.hpp"
#include "../temporary_folder.hpp"

namespace {

using alphaform::checkpoint;
using alphaform::dtype;
using alphaform::parse_rwkv_cpp;
using alphaform::stored_tensor;
using alphaform::values;
using namespace alphaform::test;

using block_numbers = std::vector<float>;

std::string bytes(std::initializer_list<int> list) {
  std::string result;
  for (const int byte : list) result.push_back(static_cast<char>(byte));
  return result;
}

std::string numbers(std::initializer_list<std::int32_t> list) {
  std::string result;
  for (const std::int32_t number : list) result.append(reinterpret_cast<const char*>(&number), 4);
  return result;
}

std::string tensor(std::int32_t type, std::initializer_list<std::int32_t> ggml_shape, const std::string& data) {
  return numbers({static_cast<std::int32_t>(ggml_shape.size()), 1, type}) + numbers(ggml_shape) + "w" + data;
}

std::string header(std::int32_t version, std::int32_t type) { return numbers({0x67676d66, version, 4, 32, 1, type}); }

stored_tensor tensor_of(dtype type, const std::string& data) {
  return {"w", type, {static_cast<std::int64_t>(data.size() / alphaform::block_of(type).bytes * 32)}, bytes_of(data)};
}

void refused(const std::string& image, std::initializer_list<std::string_view> words) {
  check_refused([&] { parse_rwkv_cpp(bytes_of(image), "'m.bin'"); }, words);
}

/// The code of a quantised type in rwkv.cpp files (docs/FILE_FORMAT.md) and the bytes of its block, as sums of its
/// parts.
struct quantised_type {
  dtype type;
  std::int32_t code;
  std::size_t bytes;
};
constexpr std::array<quantised_type, 5> every_type{{{dtype::q4_0, 2, 2 + 16},
                                                    {dtype::q4_1, 3, 2 + 2 + 16},
                                                    {dtype::q5_0, 7, 2 + 4 + 16},
                                                    {dtype::q5_1, 8, 2 + 2 + 4 + 16},
                                                    {dtype::q8_0, 9, 2 + 32}}};

/// The bits of the least binary16 number that is not below a positive one (in the range of normal numbers).
std::uint16_t f16_bits(double number) {
  int exponent = 0;
  const double scaled = std::frexp(number, &exponent) * 2048;  // in [1024, 2048)
  return static_cast<std::uint16_t>(((exponent + 14) << 10) + static_cast<int>(std::ceil(scaled)) - 1024);
}

double f16_number(std::uint16_t bits) {
  return std::ldexp(1024.0 + (bits & 1023U), static_cast<int>(bits >> 10U & 31U) - 25) * (bits >> 15U != 0 ? -1 : 1);
}

/// One block by the plainest rule: a scale at least as large as the range of codes needs, then the nearest code.
struct plain_block {
  std::string stored;
  double scale, least;
};

plain_block quantise(dtype type, const block_numbers& x) {
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  const double magnitude = std::max(std::abs(*low), std::abs(*high));
  const bool has_least = type == dtype::q4_1 || type == dtype::q5_1;
  const bool has_fifth = type == dtype::q5_0 || type == dtype::q5_1;
  const int most = type == dtype::q8_0 ? 127 : has_fifth ? 31 : 15;  // the largest code
  const int zero = type == dtype::q4_0 ? 8 : type == dtype::q5_0 ? 16 : 0;
  const auto least_bits = static_cast<std::uint16_t>(0x8000U | f16_bits(magnitude));  // -magnitude or below
  const double least = has_least ? f16_number(least_bits) : 0;
  const double range = has_least ? *high - least : magnitude;
  const std::uint16_t scale_bits = f16_bits(range / (most - zero));
  const double scale = f16_number(scale_bits);
  std::string stored(reinterpret_cast<const char*>(&scale_bits), 2);
  if (has_least) stored.append(reinterpret_cast<const char*>(&least_bits), 2);
  std::vector<int> codes;
  for (const float number : x) codes.push_back(static_cast<int>(std::lround((number - least) / scale)) + zero);
  if (type == dtype::q8_0) {
    for (const int code : codes) stored.push_back(static_cast<char>(code));
    return {stored, scale, least};
  }
  if (has_fifth) {
    for (std::size_t byte = 0; byte < 4; ++byte) {
      int bits = 0;
      for (std::size_t bit = 0; bit < 8; ++bit) bits += (codes[8 * byte + bit] / 16) << bit;
      stored.push_back(static_cast<char>(bits));
    }
  }
  for (std::size_t i = 0; i < 16; ++i) stored.push_back(static_cast<char>(codes[i] % 16 + codes[i + 16] % 16 * 16));
  return {stored, scale, least};
}

TEST_SUITE("checkpoint/quantised") {
  TEST_CASE("q4_0: d (code - 8), lower halves first") {
    // d = 0.5 (0x3800); byte i holds code i for number i and code 15 - i for number 16 + i.
    const std::string block = bytes(
        {0x00, 0x38, 0xF0, 0xE1, 0xD2, 0xC3, 0xB4, 0xA5, 0x96, 0x87, 0x78, 0x69, 0x5A, 0x4B, 0x3C, 0x2D, 0x1E, 0x0F});
    CHECK(values<float>(tensor_of(dtype::q4_0, block)) ==
          block_numbers{-4,  -3.5, -3,  -2.5, -2,  -1.5, -1,  -0.5, 0,    0.5, 1,    1.5, 2,    2.5, 3,    3.5,
                        3.5, 3,    2.5, 2,    1.5, 1,    0.5, 0,    -0.5, -1,  -1.5, -2,  -2.5, -3,  -3.5, -4});
  }

  TEST_CASE("q4_1: d code + m") {
    // d = -0.25 (0xB400), m = 1.5 (0x3E00); the same codes: 1.5 - i / 4, then 1.5 - (15 - i) / 4.
    const std::string block = bytes({0x00, 0xB4, 0x00, 0x3E, 0xF0, 0xE1, 0xD2, 0xC3, 0xB4, 0xA5,
                                     0x96, 0x87, 0x78, 0x69, 0x5A, 0x4B, 0x3C, 0x2D, 0x1E, 0x0F});
    CHECK(values<double>(tensor_of(dtype::q4_1, block)) ==
          std::vector<double>{1.5,   1.25, 1,     0.75, 0.5,   0.25,  0,    -0.25, -0.5, -0.75, -1,
                              -1.25, -1.5, -1.75, -2,   -2.25, -2.25, -2,   -1.75, -1.5, -1.25, -1,
                              -0.75, -0.5, -0.25, 0,    0.25,  0.5,   0.75, 1,     1.25, 1.5});
  }

  TEST_CASE("q5_0: d (code - 16), the fifth bit of number i is bit i of a word") {
    // d = 2 (0x4000); fifth bits of numbers 0, 5, 16 and 31: the bytes 0x21, 0x00, 0x01, 0x80. Byte 5 is 0x7A, byte 15
    // is 0xF1, the others 0: number 0 is 16 - 16, 5 is 26 - 16, 15 is 1 - 16, 16 is 16 - 16, 21 is 7 - 16, 31 is 31
    // - 16.
    const std::string block =
        bytes({0x00, 0x40, 0x21, 0x00, 0x01, 0x80, 0, 0, 0, 0, 0, 0x7A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xF1});
    block_numbers expected(32, -32);
    expected[0] = 0;
    expected[5] = 20;
    expected[15] = -30;
    expected[16] = 0;
    expected[21] = -18;
    expected[31] = 30;
    CHECK(values<float>(tensor_of(dtype::q5_0, block)) == expected);
  }

  TEST_CASE("q5_1: d code + m, rounded once, to float") {
    // d = 1 + 2^-10 (0x3C01), m = 2^-14 (0x0400); codes 0 but for 31 in number 1 (halves 0xF, fifth bit 1) and 9 in 17.
    const std::string block =
        bytes({0x01, 0x3C, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00, 0, 0x9F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
    std::vector<double> expected(32, 0x1p-14);
    expected[1] = 31 + 31 * 0x1p-10 + 0x1p-14;  // 19 bits: exact in float
    expected[17] = 9 + 9 * 0x1p-10 + 0x1p-14;
    CHECK(values<double>(tensor_of(dtype::q5_1, block)) == expected);
    // With d = 1.0009765625 * 2^5 (0x5001) and m = 2^-24 (0x0001), the sum 31 d + m needs 35 bits and rounds to 31 d.
    const std::string wide = bytes({0x01, 0x50, 0x01, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF});
    CHECK(values<double>(tensor_of(dtype::q5_1, wide)) == std::vector<double>(32, 31 * 32 * (1 + 0x1p-10)));
  }

  TEST_CASE("q8_0: d times a signed byte and blocks follow each other and a subnormal d is exact") {
    std::string block = bytes({0x00, 0x3C});  // d = 1
    for (int i = 0; i < 32; ++i) block.push_back(static_cast<char>(8 * i));
    block += bytes({0x03, 0x80}) + std::string(32, static_cast<char>(-127));  // d = -3 * 2^-24
    block_numbers expected;
    for (int i = 0; i < 32; ++i) expected.push_back(static_cast<float>(i < 16 ? 8 * i : 8 * i - 256));
    expected.resize(64, 381 * 0x1p-24F);
    CHECK(values<float>(tensor_of(dtype::q8_0, block)) == expected);
  }

  TEST_CASE("a number is at most half a scale from what was quantised") {
    std::mt19937 random(20230527);
    std::normal_distribution<float> normal(0, 0.3F);
    for (const quantised_type& one : every_type) {
      INFO("type ", std::string(alphaform::name_of(one.type)));
      const bool has_least = one.type == dtype::q4_1 || one.type == dtype::q5_1;
      double worst = 0;
      for (int round = 0; round < 200; ++round) {
        block_numbers x(32);
        for (float& number : x) number = normal(random);
        const plain_block block = quantise(one.type, x);
        REQUIRE(block.stored.size() == one.bytes);
        const auto read = values<double>(tensor_of(one.type, block.stored));
        REQUIRE(read.size() == 32);
        // What rounding the sum with m to float adds to half a scale: at most 2^-24 of the largest term.
        const double rounding = has_least ? 0x1p-24 * 2 * std::abs(block.least) : 0;
        for (std::size_t i = 0; i < 32; ++i) {
          const double error = std::abs(read[i] - static_cast<double>(x[i]));
          REQUIRE(error <= block.scale / 2 + rounding);
          worst = std::max(worst, error / block.scale);
        }
      }
      CHECK(worst > 0.45);  // 6400 errors spread over [0, 1/2]: the bound is nearly reached, so the scale is right
    }
  }

  TEST_CASE("blocks that ggml wrote are its model's numbers to half a scale") {
    SKIP_WITHOUT_SHARED("models/rwkv.cpp");
    // The first blocks of blocks.0.ffn.key.weight in tiny-rwkv-5v2-730K-Q5_0.bin and -Q5_1.bin of rwkv.cpp (MIT
    // licence).
    const std::string q5_0 = bytes({0x59, 0x20, 0xE5, 0x64, 0x39, 0x59, 0xA6, 0xC2, 0xE8, 0x20, 0x25,
                                    0xA1, 0x32, 0x57, 0x15, 0xEB, 0x93, 0x1A, 0x9F, 0xF9, 0x26, 0xF5});
    const std::string q5_1 = bytes({0x54, 0x1F, 0x59, 0xB0, 0xE5, 0x74, 0x3D, 0xFB, 0xEA, 0xF3, 0x0C, 0x60,
                                    0x56, 0xF5, 0x35, 0x6B, 0x46, 0x0D, 0xB6, 0x4C, 0xD2, 0x1E, 0x5A, 0x16});
    const auto model = checkpoint::open(*shared("models/rwkv.cpp") / "tiny-rwkv-5v2-730K-FP32.bin");
    const auto original = values<double>(model.at("blocks.0.ffn.key.weight"));
    for (const auto& [type, block, scale] :
         {std::tuple(dtype::q5_0, q5_0, 0.00849152), {dtype::q5_1, q5_1, 0.00715637}}) {
      const auto read = values<double>(tensor_of(type, block));
      // ggml chooses codes with scale and m before these are rounded to f16, which adds 2^-11 (16 scale + m) at most.
      for (std::size_t i = 0; i < 32; ++i) CHECK(std::abs(read[i] - original[i]) <= scale * (0.5 + 32 * 0x1p-11));
    }
  }

  TEST_CASE("a file of every quantised type gives shapes, counts and rows in order") {
    for (const quantised_type& one : every_type) {
      INFO("type ", std::string(alphaform::name_of(one.type)));
      block_numbers x(32, 0.25F);
      std::string data;
      for (const float last : {1.0F, 2.0F, 4.0F, 8.0F}) {  // [2, 64]: the first two blocks are the first row
        x.back() = last;
        data += quantise(one.type, x).stored;
      }
      const std::string image = header(101, one.code) + tensor(one.code, {64, 2}, data);
      const auto tensors = parse_rwkv_cpp(bytes_of(image), "'m.bin'");
      REQUIRE(tensors.size() == 1);
      CHECK(tensors[0].type == one.type);
      CHECK(tensors[0].shape == std::vector<std::int64_t>{2, 64});
      CHECK(tensors[0].bytes.size() == 4 * one.bytes);
      CHECK(alphaform::element_count(tensors[0]) == 128);
      const auto read = values<float>(tensors[0]);
      REQUIRE(read.size() == 128);
      for (const auto& [place, last] : {std::pair(31U, 1.0F), std::pair(63U, 2.0F), std::pair(95U, 4.0F)})
        CHECK(read[place] == doctest::Approx(last).epsilon(0.08));  // half a scale: 1 / 14 of the largest at most
      CHECK(read[127] == doctest::Approx(8).epsilon(0.08));
      CHECK(alphaform::stored_size(one.type, std::array<std::int64_t, 2>{2, 64}) == 4 * one.bytes);
    }
  }

  TEST_CASE("sizes that are not whole blocks are refused with the reason") {
    for (const quantised_type& one : every_type) {
      const std::string at = header(101, one.code);
      const std::string name(alphaform::name_of(one.type));
      const std::string needs = "'w' needs " + std::to_string(2 * one.bytes) + " bytes";
      const std::string left = std::to_string(2 * one.bytes - 1) + " left";
      refused(at + tensor(one.code, {32, 2}, std::string(2 * one.bytes - 1, '\0')), {needs, left, "truncated"});
      refused(at + tensor(one.code, {48, 2}, std::string(3 * one.bytes, '\0')),
              {"'w' has rows of 48", name, "blocks of 32"});
      refused(at + tensor(one.code, {1, 32}, std::string(one.bytes, '\0')), {"'w' has rows of 1 ", "blocks of 32"});
      refused(at + tensor(one.code, {32, 2}, std::string(2 * one.bytes + 3, '\0')), {"3 left", "truncated"});
      refused(at + tensor(one.code, {0, 2}, ""), {"impossible shape [2, 0]"});
      refused(at + tensor(one.code, {-32, 2}, ""), {"impossible shape [2, -32]"});
      refused(at + tensor(one.code, {0x7FFFFFE0, 0x7FFFFFFF, 0x7FFFFFFF}, ""), {"impossible shape"});
      refused(at + tensor(one.code, {0x7FFFFFE0, 0x7FFFFFFF}, ""), {"'w' needs", "0 left"});
      // Files of version 100 held other layouts under the same codes.
      refused(header(100, one.code) + tensor(0, {1}, "abcd"), {"its header", "version 100", "another layout", "101"});
      refused(header(100, 0) + tensor(one.code, {32}, std::string(one.bytes, '\0')),
              {"'w'", "version 100", "another layout"});
      check_refused([&] { values<std::int64_t>(tensor_of(one.type, std::string(one.bytes, '\0'))); },
                    {"'w'", "stored as " + name, "whole numbers"});
      CHECK(alphaform::stored_size(one.type, std::array<std::int64_t, 1>{33}) == std::nullopt);
      CHECK(alphaform::stored_size(one.type, {}) == std::nullopt);
      CHECK_THROWS_AS(alphaform::bytes_of(one.type), alphaform::internal_error);
    }
    for (const std::int32_t code : {4, 5, 6, 10, 11, 16, 17})
      refused(header(101, 0) + tensor(code, {32}, std::string(64, '\0')), {"'w'", "not supported", "Q8_0"});
  }

  TEST_CASE("damaged quantised images are refused or valid, never anything else") {
    std::string valid = header(101, 7);
    for (const quantised_type& one : every_type)
      valid +=
          numbers({2, 1, one.code, 32, 2}) + static_cast<char>('a' + one.code) + std::string(2 * one.bytes, '\x3C');
    const int refused_images = mutate(valid, 20000, [](const std::string& image) {
      for (const auto& one : parse_rwkv_cpp(bytes_of(image), "'m.bin'"))
        CHECK(values<float>(one).size() == alphaform::element_count(one));
    });
    CHECK(refused_images > 5000);
    CHECK(refused_images < 20000);
  }
}

}  // namespace
