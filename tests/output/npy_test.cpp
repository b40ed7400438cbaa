// Bytes against the format's specification (numpy.lib.format, version 1.0), and archives read back through libzip.
#include <doctest/doctest.h>
#include <zip.h>

#include <alphaform/error.hpp>
#include <alphaform/explain/output/maps.hpp>
#include <alphaform/explain/output/npy.hpp>
#include <alphaform/explain/output/npz.hpp>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "sample.hpp"

namespace {

using alphaform::named_array;
using alphaform::npy_bytes;
using alphaform::npz_bytes;

const std::vector<float> six{1.0F, -2.0F, 0.5F, 0.0F, 3.0F, 4.0F};

std::string member(const std::string& archive, const char* name) {
  zip_error_t error;
  zip_t* zip = zip_open_from_source(zip_source_buffer_create(archive.data(), archive.size(), 0, &error), 0, &error);
  REQUIRE(zip != nullptr);
  zip_stat_t found;
  REQUIRE(zip_stat(zip, name, 0, &found) == 0);
  std::string bytes(found.size, '\0');
  zip_file_t* file = zip_fopen(zip, name, 0);
  REQUIRE(file != nullptr);
  CHECK(zip_fread(file, bytes.data(), bytes.size()) == static_cast<zip_int64_t>(bytes.size()));
  CHECK(zip_fclose(file) == 0);  // reports a wrong CRC
  zip_discard(zip);
  return bytes;
}

}  // namespace

TEST_CASE("npy: the header of a float32 matrix is the specification's, byte for byte") {
  const std::string bytes = npy_bytes(six, std::array<std::size_t, 2>{2, 3});
  // 10 bytes of preamble + 118 bytes of header = 128, the next multiple of 64; 118 is 0x76.
  std::string expected("\x93NUMPY\x01\x00\x76\x00", 10);
  expected += "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
  expected.resize(127, ' ');
  expected += '\n';
  REQUIRE(bytes.size() == 128 + 24);
  CHECK(bytes.substr(0, 128) == expected);
  CHECK(bytes.substr(128, 8) ==
        std::string("\x00\x00\x80\x3f\x00\x00\x00\xc0", 8));  // 1 and -2, IEEE 754, low byte first
}

TEST_CASE("npy: vectors have a comma in their shape, scalars and empty arrays are arrays, integers are <i8") {
  const std::vector<std::int64_t> ids{1, -1};
  const std::string bytes = npy_bytes(ids, std::array<std::size_t, 1>{2});
  CHECK(bytes.find("{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }") == 10);
  CHECK(bytes.substr(bytes.size() - 16) ==
        std::string("\x01\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  CHECK(npy_bytes(std::span(six).first(1), {}).find("'shape': (), }") != std::string::npos);
  CHECK(npy_bytes(std::span(six).first(0), std::array<std::size_t, 2>{0, 3}).size() == 128);
}

TEST_CASE("npy: the entries start at a multiple of 64 for every length of header") {
  for (std::size_t extents = 0; extents < 40; ++extents) {
    const std::vector<std::size_t> shape(extents, 1);
    CHECK((npy_bytes(std::span(six).first(1), shape).size() - sizeof(float)) % 64 == 0);
  }
}

TEST_CASE("npy: a shape that disagrees with the number of values is the caller's error") {
  CHECK_THROWS_WITH_AS(npy_bytes(six, std::array<std::size_t, 2>{2, 2}),
                       "[npy] the shape (2, 2) asks for 4 values but 6 were given; pass the shape of the values",
                       alphaform::user_error);
}

TEST_CASE("npz: every array comes back out of the archive, and equal arrays make equal archives") {
  const std::vector<named_array> arrays{{"first", npy_bytes(six, std::array<std::size_t, 1>{6})},
                                        {"second", npy_bytes(six, std::array<std::size_t, 2>{3, 2})}};
  const std::string archive = npz_bytes(arrays);
  CHECK(member(archive, "first.npy") == arrays[0].npy);
  CHECK(member(archive, "second.npy") == arrays[1].npy);
  CHECK(npz_bytes(arrays) == archive);
}

TEST_CASE("npz: arrays need names of their own, and there has to be one") {
  const std::vector<named_array> twice{{"same", "x"}, {"same", "y"}};
  CHECK_THROWS_WITH_AS(npz_bytes(twice), "[npz] two arrays are named 'same'; give each its own name",
                       alphaform::user_error);
  CHECK_THROWS_WITH_AS(npz_bytes({}), "[npz] there is no array to write; give at least one", alphaform::user_error);
}

TEST_CASE("maps: the archive of an explanation holds each layer, the scores and the ids") {
  const alphaform::explanation e = alphaform::sample::hostile();
  const std::string archive = alphaform::maps_npz(e);
  CHECK(member(archive, "layer_0.npy") == npy_bytes(e.maps[0].values, std::array<std::size_t, 2>{3, 3}));
  CHECK(member(archive, "layer_5.npy") == npy_bytes(e.maps[1].values, std::array<std::size_t, 2>{3, 3}));
  CHECK(member(archive, "scores.npy") == npy_bytes(e.scores, std::array<std::size_t, 1>{3}));
  CHECK(member(archive, "ids.npy") == npy_bytes(e.ids, std::array<std::size_t, 1>{3}));
}

TEST_CASE("maps: parts that speak of different numbers of tokens are a defect, not a file") {
  alphaform::explanation e = alphaform::sample::hostile();
  e.maps[1].values.pop_back();
  CHECK_THROWS_WITH_AS(alphaform::maps_npz(e),
                       "[explanation] the map of layer 5 has 8 entries but the tokens ask for 9; please report this",
                       alphaform::internal_error);
}
