// `alphaform convert`: the same numbers and configuration out of every kind of file, and nothing written when the
// request cannot be met.
#include <doctest/doctest.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <map>
#include <nlohmann/json.hpp>

#include "../checkpoint/torch_image.hpp"
#include "../shared_data.hpp"
#include "run_command.hpp"

namespace alphaform {
namespace {

using test::bytes_of_file;
using test::check_refusal;
using test::output_of;
using test::temporary_folder;

/// Type, shape and bytes of every tensor, by name.
std::map<std::string, std::string> contents_of(const std::filesystem::path& path) {
  const checkpoint file = checkpoint::open(path);
  std::map<std::string, std::string> all;
  for (const stored_tensor& t : file.tensors()) {
    std::string& said = all[t.name] = std::string(name_of(t.type));
    for (const std::int64_t axis : t.shape) said += " " + std::to_string(axis);
    said += ":" + std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size());
  }
  return all;
}

nlohmann::json config_of(const std::filesystem::path& path) {
  const checkpoint file = checkpoint::open(path);
  return file.config();
}

std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// A PyTorch file with one tensor of this name.
std::string torch_file(const char* name) {
  return test::torch_image(test::pickled_as(test::dict({test::text(name), test::four()})), {test::counting<float>(4)});
}

using list = std::vector<std::string>;

TEST_CASE("convert keeps the numbers and the configuration of trained PyTorch models") {
  SKIP_WITHOUT_SHARED("models/mamba-mnist");
  SKIP_WITHOUT_SHARED("models/rwkv7-reverse");
  for (const char* file :
       {"models/mamba-mnist/Mamba_best.pth", "models/rwkv7-reverse/260123_reverse_L2_only_rwkv7.pth"}) {
    CAPTURE(file);
    const std::filesystem::path torch = *test::shared(file), original = torch.parent_path();
    const temporary_folder place;
    const std::filesystem::path target = place.path() / "new" / "model.safetensors";
    const std::string said = output_of({"convert", torch, target});
    CHECK(said.find("(PyTorch)") != std::string::npos);
    CHECK(contents_of(target) == contents_of(original / "model.safetensors"));
    CHECK(config_of(target) == config_of(original));
    CHECK(files_in(place.path() / "new") == list{"config.json", "model.safetensors"});
    // once converted, conversion changes nothing
    output_of({"convert", place.path() / "new", place.path() / "again" / "m.safetensors"});
    CHECK(bytes_of_file(place.path() / "again" / "m.safetensors") == bytes_of_file(target));
    CHECK(bytes_of_file(place.path() / "again" / "config.json") == bytes_of_file(place.path() / "new" / "config.json"));
    // inspect shows the same tensors in both
    const std::string before = output_of({"inspect", torch}), after = output_of({"inspect", target});
    CHECK(before.substr(before.find("\nname")) == after.substr(after.find("\nname")));
  }
}

TEST_CASE("convert keeps the tensors and the header of rwkv.cpp files") {
  SKIP_WITHOUT_SHARED("models/rwkv.cpp");
  const std::filesystem::path original = *test::shared("models/rwkv.cpp") / "tiny-rwkv-4v0-660K-FP32.bin";
  const temporary_folder place;
  const std::filesystem::path target = place.path() / "model.safetensors";
  output_of({"convert", original, target});
  CHECK(contents_of(target) == contents_of(original));
  CHECK(config_of(target) == config_of(original));
  CHECK(config_of(target)["n_layer"] == 4);  // the third number after the version, at byte 16
}

TEST_CASE("convert writes quantised tensors as f32 and says so") {
  using test::raw;
  const temporary_folder place;
  std::string image;
  for (const std::int32_t n : {0x67676d66, 101, 256, 32, 1, 9, 1, 1, 9, 32})
    image += raw(n);                          // one tensor "w", Q8_0, 32
  image += "w" + raw<std::uint16_t>(0x4000);  // the scale 2
  for (int i = 0; i < 32; ++i) image += static_cast<char>(-i);
  const std::string said = output_of({"convert", place.write("q.bin", image), place.path() / "q.safetensors"});
  CHECK(said.find("1 quantised tensors became f32") != std::string::npos);
  const checkpoint file = checkpoint::open(place.path() / "q.safetensors");
  const std::vector<float> numbers = values<float>(file.at("w"));
  REQUIRE(numbers.size() == 32);
  for (int i = 0; i < 32; ++i) CHECK(numbers[static_cast<std::size_t>(i)] == -2.0F * static_cast<float>(i));
}

TEST_CASE("convert joins shards, and a folder without configuration gives none") {
  const temporary_folder place, other;
  output_of({"convert", other.write("x.pth", torch_file("x")), place.path() / "a.safetensors"});
  output_of({"convert", other.write("y.pt", torch_file("y")), place.path() / "b.safetensors"});
  CHECK(files_in(place.path()) == list{"a.safetensors", "b.safetensors"});
  const auto index =
      place.write("model.safetensors.index.json", R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  output_of({"convert", index, other.path() / "both.safetensors"});
  auto expected = contents_of(place.path() / "a.safetensors");
  expected.merge(contents_of(place.path() / "b.safetensors"));
  CHECK(expected.size() == 2);
  CHECK(contents_of(other.path() / "both.safetensors") == expected);
  check_refusal({"convert", index, place.path() / "a.safetensors", "--overwrite"}, "may be part of what is read");
  check_refusal({"convert", place.path(), place.path() / "b.safetensors", "--overwrite"},
                "may be part of what is read");
  output_of({"convert", place.path(), place.path() / "c.safetensors"});
  CHECK(contents_of(place.path() / "c.safetensors") == expected);
}

TEST_CASE("convert replaces nothing that it was not told to replace") {
  const temporary_folder place;
  const auto source = place.write("x.pth", torch_file("x"));
  const auto target = place.write("m.safetensors", "something else");
  const std::filesystem::path absent = place.path() / "n.safetensors", folder = place.path() / "f.safetensors";
  std::filesystem::create_directory(folder);
  const list before = files_in(place.path());
  check_refusal({"convert", source, target}, "--overwrite");
  check_refusal({"convert", target, target}, "may be part of what is read");
  check_refusal({"convert", target, target, "--overwrite"}, "may be part of what is read");
  check_refusal({"convert", source, place.path() / "n.bin"}, "ends in .safetensors");
  check_refusal({"convert", source, folder, "--overwrite"}, "it is a folder");
  check_refusal({"convert", place.path() / "no.pth", absent}, "No such file");
  check_refusal({"convert", place.write("bad.pth", "PK\3\4"), absent}, "zip directory is not valid");
  std::filesystem::remove(place.path() / "bad.pth");
  CHECK(files_in(place.path()) == before);
  CHECK(bytes_of_file(target) == "something else");
  output_of({"convert", source, target, "--overwrite"});
  CHECK(contents_of(target) == contents_of(source));
  CHECK(files_in(place.path()) == before);
}

TEST_CASE("convert keeps a configuration that is there, and refuses to contradict it") {
  const temporary_folder from, to;
  const auto source = from.write("x.pth", torch_file("x"));
  const std::string limits = R"({"model_type": "mamba", "limit": [0.0, Infinity]})";
  from.write("config.json", limits);
  to.write("config.json", R"({"model_type": "mamba2"})");
  check_refusal({"convert", source, to.path() / "m.safetensors"}, "says something else than the configuration");
  CHECK(files_in(to.path()) == list{"config.json"});
  const std::string spaced = R"({ "limit": [0.0, Infinity], "model_type": "mamba" })";
  to.write("config.json", spaced);
  output_of({"convert", source, to.path() / "m.safetensors"});
  CHECK(bytes_of_file(to.path() / "config.json") == spaced);
  CHECK(contents_of(to.path() / "m.safetensors") == contents_of(source));
  output_of({"convert", source, to.path() / "new" / "model.safetensors"});
  CHECK(config_of(to.path() / "new") == config_of(source));
  output_of({"convert", source, from.path() / "model.safetensors"});  // beside its own configuration
  CHECK(bytes_of_file(from.path() / "config.json") == limits);
}

}  // namespace
}  // namespace alphaform
