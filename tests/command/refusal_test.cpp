// What the command refuses: damaged files, impossible requests and places that cannot be written. Each ends with status
// 2 and one sentence, prints nothing else and leaves no file behind.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <random>

#include "../reference/safetensors_image.hpp"
#include "run_command.hpp"

namespace alphaform {
namespace {

using nlohmann::json;
using test::bytes_of_file;
using test::check_refusal;
using test::outcome;
using test::run_command;
using test::safetensors_image;
using test::temporary_folder;

const std::filesystem::path mamba = ALPHAFORM_SOURCE_DIR "/models/golden/mamba",
                            rwkv4 = ALPHAFORM_SOURCE_DIR "/models/golden/rwkv4",
                            sentiment = ALPHAFORM_SOURCE_DIR "/models/sentiment";

/// A folder for what the command may write, which must stay empty.
class untouched final {
 public:
  std::string file(const char* name) const { return folder_.path() / name; }
  ~untouched() { CHECK(std::filesystem::is_empty(folder_.path())); }

 private:
  temporary_folder folder_;
};

/// A copy of the golden Mamba with other bytes or another configuration.
struct damaged final {
  temporary_folder folder;
  std::string model = bytes_of_file(mamba / "model.safetensors");
  json config = json::parse(bytes_of_file(mamba / "config.json"));

  std::string path() const {
    folder.write("model.safetensors", model);
    folder.write("config.json", config.dump());
    return folder.path();
  }
  /// Nothing that reads the model as a whole accepts it.
  void check_everywhere(std::string_view word) const {
    const untouched place;
    const std::string at = path();
    check_refusal({"attention", at, "--ids", "1,2,3", "--layer", "0", "-o", place.file("map.npz")}, word);
    check_refusal({"explain", at, "--ids", "1,2,3", "-o", place.file("report")}, word);
    check_refusal({"verify", at, "--json"}, word);
  }
};

TEST_CASE("files that are not whole or not safetensors are refused") {
  damaged d;
  const std::string whole = d.model;
  const auto everywhere = [&](const std::string& bytes, std::string_view word) {
    d.model = bytes;
    d.check_everywhere(word);
    check_refusal({"inspect", d.path()}, word);
  };
  everywhere("", "model.safetensors");
  everywhere(whole.substr(0, 5), "model.safetensors");
  everywhere(whole.substr(0, 100), "model.safetensors");
  everywhere(whole.substr(0, whole.size() - 1), "model.safetensors");
  everywhere(whole + "x", "model.safetensors");
  everywhere(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + whole.substr(8), "header");
  everywhere(std::string("\0\0\0\0\1\0\0\0", 8) + whole.substr(8), "header");
  everywhere(whole.substr(0, 8) + "?" + whole.substr(9), "JSON");
  safetensors_image image(mamba / "model.safetensors");
  image.header["backbone.norm_f.weight"]["data_offsets"][1] = 1 << 30;
  everywhere(image.bytes(), "backbone.norm_f.weight");
  image = safetensors_image(mamba / "model.safetensors");
  image.header["backbone.norm_f.weight"]["shape"] = {63};
  everywhere(image.bytes(), "backbone.norm_f.weight");
  image = safetensors_image(mamba / "model.safetensors");
  image.header["backbone.norm_f.weight"]["dtype"] = "F4";
  everywhere(image.bytes(), "F4");
}

TEST_CASE("any flipped byte of the header is refused or read and never anything else") {
  damaged d;
  const std::string whole = d.model;
  std::mt19937 random(20240516);
  std::uniform_int_distribution<std::size_t> place(0, 2000), value(0, 255);
  int refused = 0;
  for (int round = 0; round < 60; ++round) {
    d.model = whole;
    d.model[place(random)] = static_cast<char>(value(random));
    const outcome o = run_command({"verify", d.path()});
    CAPTURE(o.err);
    CHECK((o.status == 0 || o.status == 2));
    CHECK(o.err.empty() == (o.status == 0));
    CHECK(o.out.empty() == (o.status == 2));
    refused += o.status == 2;
  }
  CHECK(refused > 20);
}

TEST_CASE("tensors that are missing or have another shape are named") {
  const std::string weight = "backbone.layers.1.mixer.out_proj.weight";
  const auto with = [&](const std::function<void(json&)>& change, std::string_view word) {
    safetensors_image image(mamba / "model.safetensors");
    change(image.header);
    damaged d;
    d.model = image.bytes();
    d.check_everywhere(word);
  };
  const auto renamed = [](const std::string& name) {
    return [name](json& header) {
      header["other"] = header[name];
      header.erase(name);
    };
  };
  with(renamed(weight), weight);
  with(renamed("backbone.embeddings.weight"), "backbone.embeddings.weight");
  with(renamed("backbone.norm_f.weight"), "backbone.norm_f.weight");
  with(renamed("backbone.layers.0.mixer.x_proj.weight"), "backbone.layers.0.mixer.x_proj.weight");
  with(renamed("backbone.layers.0.norm.weight"), "backbone.layers.0.norm.weight");
  with([&](json& header) { header[weight]["shape"] = {128, 64}; }, "out_proj.weight");
  with([&](json& header) { header[weight]["shape"] = {64 * 128}; }, "out_proj.weight");
  with([&](json& header) { header["backbone.layers.1.mixer.D"]["shape"] = {64, 2}; }, "'D'");
  with([&](json& header) { header["backbone.layers.1.mixer.in_proj.weight"]["shape"] = {64, 256}; }, "in_proj.weight");
  with([&](json& header) { header["backbone.embeddings.weight"]["shape"] = {256 * 64}; }, "embeddings.weight");
}

TEST_CASE("tensors of size 1 or 0 do not pass for whole ones") {
  const auto replaced = [&](const std::string& tensor, const std::vector<std::size_t>& shape, std::string_view word) {
    safetensors_image image(mamba / "model.safetensors");
    std::size_t bytes = sizeof(float);
    for (const std::size_t n : shape) bytes *= n;
    image.header["other"] = image.header[tensor];
    image.header[tensor] = {
        {"dtype", "F32"}, {"shape", shape}, {"data_offsets", {image.numbers.size(), image.numbers.size() + bytes}}};
    image.numbers.append(bytes, '\0');
    damaged d;
    d.model = image.bytes();
    d.check_everywhere(word);
  };
  const std::string mixer = "backbone.layers.1.mixer.";
  replaced("backbone.layers.0.norm.weight", {1}, "weight");
  replaced(mixer + "D", {1}, "'D'");
  replaced(mixer + "conv1d.bias", {1}, "conv1d.bias");
  replaced(mixer + "out_proj.weight", {1, 128}, "width");
  replaced(mixer + "conv1d.weight", {128, 1, 0}, "conv1d.weight");
  replaced(mixer + "A_log", {128, 0}, "A_log");
  replaced("backbone.embeddings.weight", {0, 64}, "embeddings.weight");
}

TEST_CASE("configurations that do not fit are refused by what they say") {
  const auto with = [](const std::function<void(json&)>& change, std::string_view word) {
    damaged d;
    change(d.config);
    d.check_everywhere(word);
  };
  with([](json& c) { c["model_type"] = "transformer"; }, "'transformer'");
  with([](json& c) { c["model_type"] = 3; }, "model_type");
  with([](json& c) { c.erase("model_type"); }, "model_type");
  with([](json& c) { c["model_type"] = "rwkv"; }, "rwkv");
  with([](json& c) { c["num_hidden_layers"] = 3; }, "num_hidden_layers");
  with([](json& c) { c["num_hidden_layers"] = 1; }, "num_hidden_layers");
  with([](json& c) { c["num_hidden_layers"] = "two"; }, "num_hidden_layers");
  with([](json& c) { c["layer_norm_epsilon"] = "small"; }, "layer_norm_epsilon");
  with([](json& c) { c["classifier"] = {{"weight", "score.weight"}}; }, "score.weight");
  with([](json& c) { c["classifier"] = {{"weight", 3}}; }, "classifier");
  with([](json& c) { c = json::array(); }, "config.json");
  damaged d;
  const std::string at = d.path();
  d.folder.write("config.json", "{\"model_type\": ");
  check_refusal({"verify", at}, "config.json");
  std::filesystem::remove(d.folder.path() / "config.json");
  check_refusal({"verify", at}, "config.json");
}

TEST_CASE("models that are not there are refused and shown on one line") {
  const untouched place;
  for (const char* name : {"/nowhere/model.safetensors", "/nowhere\nat all", "/proc/self/mem", ""}) {
    check_refusal({"inspect", name}, "");
    check_refusal({"verify", name}, "");
    check_refusal({"attention", name, "--ids", "1", "--layer", "0", "-o", place.file("map.npy")}, "");
    check_refusal({"explain", name, "--text", "a joy", "-o", place.file("report")}, "");
  }
  const temporary_folder empty;
  check_refusal({"inspect", empty.path()}, "model.safetensors");
}

TEST_CASE("texts and ids that are no tokens of the model are refused") {
  const untouched place;
  const auto input = [&](const std::filesystem::path& model, std::vector<std::string> how, std::string_view word) {
    std::vector<std::string> attention{"attention", model, "--layer", "0", "-o", place.file("map.json")},
        explain{"explain", model, "-o", place.file("report")};
    attention.insert(attention.end(), how.begin(), how.end());
    explain.insert(explain.end(), how.begin(), how.end());
    check_refusal(attention, word);
    check_refusal(explain, word);
  };
  for (const std::filesystem::path& model : {mamba, sentiment}) {
    input(model, {}, "--text or --ids");
    input(model, {"--text", "a", "--ids", "1"}, "--text or --ids");
    input(model, {"--text", ""}, "empty");
    input(model, {"--text", " \t\n "}, "empty");
    input(model, {"--ids", "-1"}, "-1");
    input(model, {"--ids", ""}, "--ids");
    input(model, {"--ids", "1,,2"}, "1,,2");
    input(model, {"--ids", "1,2,"}, "1,2,");
    input(model, {"--ids", "1, 2"}, "1, 2");
    input(model, {"--ids", "one"}, "one");
    input(model, {"--ids", "1\n2"}, "--ids");
    input(model, {"--ids", "99999999999999999999"}, "--ids");
  }
  input(mamba, {"--ids", "1,256"}, "256");
  input(sentiment, {"--ids", "1,4096"}, "4096");
  input(sentiment, {"--text", "a joy \xff\xfe to watch"}, "UTF-8");
  check_refusal({"verify", mamba, "--ids", "1,256", "--logits", mamba / "config.json"}, "");
}

TEST_CASE("layers channels and rows that do not exist are refused before anything is written") {
  const untouched place;
  const auto asked = [&](std::vector<std::string> options, std::string_view word) {
    std::vector<std::string> line{"attention", rwkv4, "--ids", "1,2,3", "-o", place.file("map.png")};
    line.insert(line.end(), options.begin(), options.end());
    check_refusal(line, word);
    line.push_back("--plan");
    check_refusal(line, word);
  };
  asked({"--layer", "2"}, "layers 0 to 1");
  asked({"--layer", "0", "--channel", "64"}, "channels 0 to 63");
  asked({"--layer", "0", "--channel", "64", "--row", "1"}, "channels 0 to 63");
  asked({"--layer", "0", "--row", "3"}, "tokens 0 to 2");
  asked({"--layer", "0", "--row", "first"}, "first");
  asked({"--layer", "0", "--row", "-1"}, "-1");
  asked({"--layer", "0", "--max-memory", "much"}, "'much'");
  asked({"--layer", "0", "--max-memory", "20E"}, "'20E'");
  check_refusal(
      {"attention", rwkv4, "--ids", "1,2,3", "--layer", "0", "--max-memory", "1K", "-o", place.file("map.png")},
      "at most 1024");
  asked({"--layer", "0", "--row", ""}, "--row");
}

TEST_CASE("outputs that cannot be written or named are refused and nothing is left") {
  const temporary_folder folder;
  const std::string file = folder.write("regular", "here");
  const std::vector<std::string> ask{"attention", rwkv4, "--ids", "1,2,3", "--layer", "0", "-o"};
  const auto to = [](std::vector<std::string> line, const std::string& place) {
    line.push_back(place);
    return line;
  };
  for (const std::string name : {"m.npy", "m.npz", "m.png", "m.json"})
    for (const std::string& place :
         {"/proc/alphaform/" + name, "/proc/" + name, file + "/" + name, folder.path().string() + "/none/" + name})
      check_refusal(to(ask, place), name);
  for (const std::string& place : {std::string("/proc/alphaform"), file + "/report", file})
    check_refusal({"explain", rwkv4, "--ids", "1,2,3", "-o", place}, "");
  for (const std::string& place : {std::string("/proc/alphaform.md"), file + "/derivation.md", folder.path().string()})
    check_refusal({"derive", "mamba", "-o", place}, "");
  for (const char* name : {"map.txt", "map", ".npy", "map.npy.gz", "map.NPY"})
    check_refusal(to(ask, folder.path() / name), ".npz, .npy, .png or .json");
  CHECK(bytes_of_file(file) == "here");
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++entries;
  CHECK(entries == 1);
}

TEST_CASE("a report whose files cannot all be written is not written in part") {
  const temporary_folder folder;
  std::filesystem::create_directories(folder.path() / "result.npz");  // a folder where a file should be
  check_refusal({"explain", rwkv4, "--ids", "1,2,3", "-o", folder.path()}, "result.npz");
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++entries;
  CHECK(entries == 1);
}

TEST_CASE("weights that are not numbers cannot be explained") {
  for (const char* weight : {"backbone.norm_f.weight", "backbone.layers.0.mixer.conv1d.bias"})
    for (const float value : {std::nanf(""), HUGE_VALF}) {
      safetensors_image image(mamba / "model.safetensors");
      image.set(weight, 3, value);
      damaged d;
      d.model = image.bytes();
      const untouched place;
      check_refusal({"explain", d.path(), "--ids", "1,2,3", "-o", place.file("report")}, "finite");
    }
}

TEST_CASE("records and logits of another model are refused") {
  check_refusal({"verify", mamba, "--reference", sentiment / "reference.safetensors"}, "");
  check_refusal({"verify", mamba, "--reference", mamba / "model.safetensors"}, "input_ids");
  check_refusal({"verify", mamba, "--reference", "/nowhere.safetensors"}, "/nowhere.safetensors");
  check_refusal({"verify", mamba, "--logits", mamba / "config.json"}, "--ids");
  check_refusal({"verify", mamba, "--ids", "1", "--logits", "/nowhere.bin"}, "/nowhere.bin");
  const temporary_folder folder;
  const std::string three = folder.write("logits.bin", std::string(12, '\0'));
  check_refusal({"verify", mamba, "--ids", "1", "--logits", three}, "256");
}

TEST_CASE("unknown architectures are refused with those known") {
  const untouched place;
  check_refusal({"derive", "transformer", "-o", place.file("d.md")}, "mamba");
  check_refusal({"derive", "", "-o", place.file("d.md")}, "rwkv4");
}

TEST_CASE("lines that are no commands end with status 2 and print what was expected") {
  const untouched place;
  for (const std::vector<std::string>& line : std::vector<std::vector<std::string>>{
           {},
           {"transform"},
           {"derive"},
           {"derive", "mamba", "--format", "docx", "-o", place.file("d")},
           {"derive", "mamba", "--format", "3", "-o", place.file("d")},
           {"derive", "mamba", "--colour"},
           {"inspect"},
           {"verify", mamba, "--dtype", "f16"},
           {"attention", mamba, "--ids", "1", "-o", place.file("m.npy")},
           {"attention", mamba, "--ids", "1", "--layer", "-1", "-o", place.file("m.npy")},
           {"attention", mamba, "--ids", "1", "--layer", "x", "-o", place.file("m.npy")},
           {"attention", mamba, "--ids", "1", "--layer", "0", "--channel", "-1", "-o", place.file("m.npy")},
           {"attention", mamba, "--ids", "1", "--layer", "0", "--reduce", "min", "-o", place.file("m.npy")},
           {"attention", mamba, "--ids", "1", "--layer", "0", "--channel", "0", "--reduce", "mean", "-o",
            place.file("m.npy")},
           {"explain", mamba, "--ids", "1", "--method", "shap", "-o", place.file("report")},
       }) {
    std::string words;
    for (const std::string& word : line) words += word + " ";
    CAPTURE(words);
    const outcome o = run_command(line);
    CHECK(o.status == 2);
    CHECK_FALSE(o.err.empty());
    CHECK(o.out.empty());
  }
}

}  // namespace
}  // namespace alphaform
