// The command's subcommands on the models that come along: what they print and write agrees with each other, and
// statuses are 0 and 1 as promised.
#include <doctest/doctest.h>
#include <png.h>
#include <zip.h>

#include <alphaform/architectures/registry.hpp>
#include <alphaform/explain/implicit_share.hpp>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "../reference/safetensors_image.hpp"
#include "../shared_data.hpp"
#include "run_command.hpp"

namespace alphaform {
namespace {

using nlohmann::json;
using test::bytes_of_file;
using test::outcome;
using test::output_of;
using test::run_command;
using test::temporary_folder;

const std::string models = ALPHAFORM_SOURCE_DIR "/models";
const std::string mamba = models + "/golden/mamba", rwkv4 = models + "/golden/rwkv4", sentiment = models + "/sentiment";
const std::string ids = "72,101,108,108,111,32,116,104,101,114,101";
constexpr std::size_t tokens = 11;

bool contains(std::string_view text, std::string_view word) { return text.find(word) != text.npos; }

TEST_CASE("every subcommand's help shows an example and bare help names every subcommand") {
  const std::string all = output_of({"--help"});
  for (const char* name :
       {"list", "derive", "rules", "compare", "inspect", "convert", "verify", "attention", "explain", "classify"}) {
    CAPTURE(name);
    CHECK(contains(all, name));
    CHECK(contains(output_of({name, "--help"}), std::string("Example: alphaform ") + name));
  }
}

TEST_CASE("list names every architecture and model type") {
  const std::string text = output_of({"list"});
  for (const architecture& a : registry) {
    CHECK(contains(text, a.name));
    CHECK(contains(text, a.title));
    CHECK(contains(text, a.source));
  }
  for (const char* type : {"mamba", "rwkv", "rwkv.cpp"}) CHECK(contains(text, type));
}

TEST_CASE("derive writes every format with the formula and the measured miss") {
  for (const architecture& a : registry) {
    CAPTURE(a.name);
    const std::string name(a.name);
    const json j = json::parse(output_of({"derive", name, "--format", "json"}));
    CHECK(j["name"] == name);
    CHECK(j["steps"].size() >= 1);
    CHECK(j["miss"].get<double>() <= 1e-12);  // rounding in double
    const auto formula = j["H"]["text"].get<std::string>();
    CHECK(formula.size() > 10);
    CHECK(contains(output_of({"derive", name}), "H ="));
    CHECK(output_of({"derive", name}) == output_of({"derive", name, "--format", "text"}));
    const std::string markdown = output_of({"derive", name, "--format", "markdown"});
    CHECK(contains(markdown, "H ="));
    CHECK(contains(markdown, a.title));
    const std::string latex = output_of({"derive", name, "--format", "latex"});
    CHECK(contains(latex, "\\begin{document}"));
    CHECK(contains(latex, "\\end{document}"));
    CHECK(contains(latex, "$H = "));
    const temporary_folder folder;
    const std::string file = folder.path() / "derivation.tex";
    CHECK(output_of({"derive", name, "--format", "latex", "-o", file}).empty());
    CHECK(bytes_of_file(file) == latex);
  }
  const json printed = json::parse(output_of({"derive", "mamba", "--format", "json"}))["printed"]["measured"];
  CHECK(printed["miss"].get<double>() > 1e-3);
}

TEST_CASE("inspect shows format, configuration and every tensor with its shape") {
  const std::string text = output_of({"inspect", mamba});
  const test::safetensors_image image(mamba + "/model.safetensors");
  CHECK(contains(text, "22 tensors"));
  CHECK(contains(text, "'model_type' = \"mamba\""));
  CHECK(contains(text, "'hidden_size' = 64"));
  std::size_t seen = 0;
  for (const auto& [name, tensor] : image.header.items()) {
    if (name == "__metadata__") continue;
    const std::size_t at = text.find("'" + name + "'");
    REQUIRE(at != std::string::npos);
    const std::string row = text.substr(at, text.find('\n', at) - at);
    CHECK(contains(row, "[" + std::to_string(tensor["shape"][0].get<int>())));
    CHECK(contains(row, "f32"));
    ++seen;
  }
  CHECK(seen == 22);
}

/// The checks of `verify --json` after a look at all its fields.
json checks_of(const outcome& o, const std::string& type) {
  const json j = json::parse(o.out);
  CHECK(j["model_type"] == type);
  CHECK(j["device"].get<std::string>().size() > 2);
  std::size_t passed = 0, failed = 0, skipped = 0;
  for (const json& c : j["checks"]) {
    CHECK(c["name"].get<std::string>().size() > 2);
    if (c.contains("skipped")) {
      ++skipped;
      continue;
    }
    const bool pass = c["pass"];
    CHECK(pass == (c["max_abs"].get<double>() <= c["tolerance"].get<double>() * c["scale"].get<double>()));
    ++(pass ? passed : failed);
  }
  CHECK(j["passed"] == passed);
  CHECK(j["failed"] == failed);
  CHECK(j["skipped"] == skipped);
  CHECK(o.status == (failed == 0 ? 0 : 1));
  return j;
}

TEST_CASE("verify passes the golden models in both precisions and counts what it did") {
  for (const std::string& folder : {mamba, rwkv4})
    for (const char* dtype : {"f32", "f64"}) {
      CAPTURE(folder);
      const json j =
          checks_of(run_command({"verify", folder, "--dtype", dtype, "--json"}), folder == mamba ? "mamba" : "rwkv");
      CHECK(j["failed"] == 0);
      CHECK(j["skipped"] == 0);
      CHECK(j["passed"].get<int>() >= 1 + 3 * 2);
    }
  const std::string table = output_of({"verify", mamba});
  CHECK(contains(table, "mixer_out.1"));
  CHECK(contains(table, " 0 failed, 0 skipped"));
}

TEST_CASE("verify says what it cannot check without a record and uses one from elsewhere") {
  const temporary_folder folder;
  for (const char* file : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(mamba + "/" + file, folder.path() / file);
  const json alone = checks_of(run_command({"verify", folder.path(), "--json"}), "mamba");
  CHECK(alone["skipped"] == 3);
  CHECK(alone["failed"] == 0);
  CHECK(alone["passed"].get<int>() >= 4);
  const json with = checks_of(
      run_command({"verify", folder.path(), "--reference", mamba + "/reference.safetensors", "--json"}), "mamba");
  CHECK(with["skipped"] == 0);
  CHECK(with["failed"] == 0);
}

TEST_CASE("verify ends with status 1 when a weight is damaged") {
  const temporary_folder folder;
  for (const char* file : {"config.json", "reference.safetensors"})
    std::filesystem::copy_file(mamba + "/" + file, folder.path() / file);
  test::safetensors_image image(mamba + "/model.safetensors");
  const std::string weight = "backbone.layers.0.mixer.out_proj.weight";
  SUBCASE("its sign") { image.set(weight, 7, -image.number(weight, 7)); }
  SUBCASE("not a number") { image.set(weight, 7, std::nanf("")); }
  folder.write("model.safetensors", image.bytes());
  const outcome table = run_command({"verify", folder.path()});
  CHECK(table.status == 1);
  CHECK(contains(table.out, "FAIL"));
  const outcome o = run_command({"verify", folder.path(), "--json"});
  CHECK(o.status == 1);
  const json j = json::parse(o.out);
  CHECK(j["failed"].get<int>() >= 2);
}

TEST_CASE("verify measures what the implicit attention carries, and 0 of a mixer without output") {
  const temporary_folder folder;
  std::filesystem::copy_file(mamba + "/config.json", folder.path() / "config.json");
  test::safetensors_image image(mamba + "/model.safetensors");
  const std::string weight = "backbone.layers.0.mixer.out_proj.weight";
  const json shape = image.header[weight]["shape"];
  for (std::size_t k = 0; k < shape[0].get<std::size_t>() * shape[1].get<std::size_t>(); ++k) image.set(weight, k, 0);
  folder.write("model.safetensors", image.bytes());
  const json shares = json::parse(run_command({"verify", folder.path(), "--jacobian", "--json"}).out)["implicit_share"];
  REQUIRE(shares.size() == 2);
  for (const char* field : {"carried", "cosine"}) {
    REQUIRE(shares[0][field].is_number());
    REQUIRE(shares[1][field].is_number());
    CHECK(shares[0][field] == 0);
    CHECK(std::abs(shares[1][field].get<double>()) > 1e-3);
  }
  CHECK(contains(output_of({"verify", mamba, "--jacobian"}), "cosine"));
}

TEST_CASE("recorded ids are the first row, and a record without a row is refused") {
  const auto ids_of = [](const json& shape, std::size_t numbers) {
    const temporary_folder folder;
    test::safetensors_image image(mamba + "/reference.safetensors");
    image.header = {{"input_ids", {{"dtype", "I64"}, {"shape", shape}, {"data_offsets", {0, 8 * numbers}}}}};
    image.numbers = std::string(8 * numbers, '\1');
    folder.write("record.safetensors", image.bytes());
    return recorded_ids(checkpoint::open(folder.path() / "record.safetensors"));
  };
  CHECK(ids_of({2, 3}, 6).size() == 3);
  CHECK(ids_of({3}, 3).size() == 3);
  CHECK_THROWS_AS(ids_of(json::array(), 1), user_error);
  CHECK_THROWS_AS(ids_of({0, 3}, 0), user_error);
  CHECK_THROWS_AS(ids_of({2, 0}, 0), user_error);
}

TEST_CASE("verify takes rwkv.cpp's expected logits") {
  SKIP_WITHOUT_SHARED("models/rwkv.cpp");
  const std::filesystem::path folder = *test::shared("models/rwkv.cpp");
  const std::vector<std::string> line{"verify",   folder / "tiny-rwkv-4v0-660K-FP32.bin",  "--ids", "34,105,110",
                                      "--logits", folder / "expected-logits-4v0-660K.bin", "--json"};
  const json j = checks_of(run_command(line), "rwkv.cpp");
  CHECK(j["failed"] == 0);
  int logits = 0;
  for (const json& c : j["checks"]) {
    if (!c["name"].get<std::string>().starts_with("logits")) continue;
    ++logits;
    CHECK(c["max_abs"].get<double>() <= 1e-5);
  }
  CHECK(logits == 2);  // as a sequence and token by token
  std::vector<std::string> other = line;
  other[3] = "34,105,111";
  CHECK(run_command(other).status == 1);
}

// ---- attention

struct numpy_array final {
  std::string header;
  std::vector<float> numbers;
};
/// A float32 .npy file (numpy.lib.format, version 1.0).
numpy_array parse_npy(const std::string& bytes) {
  REQUIRE(bytes.starts_with(std::string("\x93NUMPY\x01\x00", 8)));
  const std::size_t length = static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  numpy_array a{bytes.substr(10, length), std::vector<float>((bytes.size() - 10 - length) / sizeof(float))};
  CHECK(contains(a.header, "'<f4'"));
  std::memcpy(a.numbers.data(), bytes.data() + 10 + length, a.numbers.size() * sizeof(float));
  return a;
}
std::string npz_member(const std::string& archive, const char* name) {
  zip_error_t error;
  zip_t* zip = zip_open_from_source(zip_source_buffer_create(archive.data(), archive.size(), 0, &error), 0, &error);
  REQUIRE(zip != nullptr);
  zip_stat_t found;
  REQUIRE(zip_stat(zip, name, 0, &found) == 0);
  std::string bytes(found.size, '\0');
  zip_file_t* file = zip_fopen(zip, name, 0);
  REQUIRE(file != nullptr);
  CHECK(zip_fread(file, bytes.data(), bytes.size()) == static_cast<zip_int64_t>(bytes.size()));
  CHECK(zip_fclose(file) == 0);
  zip_discard(zip);
  return bytes;
}
struct picture final {
  unsigned width = 0, height = 0;
};
picture parse_png(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  REQUIRE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) != 0);
  std::vector<png_byte> pixels(PNG_IMAGE_SIZE(image));
  const bool whole = png_image_finish_read(&image, nullptr, pixels.data(), 0, nullptr) != 0;
  CHECK(whole);
  return {image.width, image.height};
}

/// What `attention` answers with these options, as .npy.
std::vector<float> asked(const std::string& model, std::vector<std::string> options, const std::string& shape) {
  const temporary_folder folder;
  const std::string file = folder.path() / "map.npy";
  std::vector<std::string> line{"attention", model, "--ids", ids, "--layer", "1", "-o", file};
  line.insert(line.end(), options.begin(), options.end());
  CHECK(contains(output_of(line), "wrote"));
  const numpy_array a = parse_npy(bytes_of_file(file));
  CAPTURE(a.header);
  CHECK(contains(a.header, "'shape': " + shape));
  return a.numbers;
}
const std::string whole_map = "(11, 11)", one_row = "(1, 11)";

double difference(std::span<const float> a, std::span<const float> b) {
  REQUIRE(a.size() == b.size());
  double worst = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    const double d = std::abs(static_cast<double>(a[k]) - static_cast<double>(b[k]));
    if (!(d <= worst)) worst = std::isnan(d) ? HUGE_VAL : d;
  }
  return worst;
}
double largest(std::span<const float> a) {
  double most = 0;
  for (const float v : a) most = std::max(most, std::abs(static_cast<double>(v)));
  return most;
}
// float32 in two orders of summation.
constexpr double in_float = 2e-5;

TEST_CASE("attention: rows are rows of maps, the last row is 'last', and reductions are means over the channels") {
  for (const std::string& model : {mamba, rwkv4}) {
    CAPTURE(model);
    const std::size_t channels = model == mamba ? 128 : 64;
    const std::vector<float> mean = asked(model, {}, whole_map);
    CHECK(difference(mean, asked(model, {"--reduce", "mean"}, whole_map)) == 0);
    for (const std::string over : {"mean", "abs-mean"}) {
      const std::vector<float> map = asked(model, {"--reduce", over}, whole_map);
      const auto row = [&](std::size_t i) { return std::span(map).subspan(i * tokens, tokens); };
      for (std::size_t i = 0; i < tokens; ++i)
        for (std::size_t j = i + 1; j < tokens; ++j) CHECK(map[i * tokens + j] == 0);
      const std::vector<float> last = asked(model, {"--reduce", over, "--row", "last"}, one_row);
      CHECK(difference(last, row(10)) <= in_float * largest(map));
      CHECK(difference(last, asked(model, {"--reduce", over, "--row", "10"}, one_row)) == 0);
      CHECK(difference(asked(model, {"--reduce", over, "--row", "4"}, one_row), row(4)) <= in_float * largest(map));
      std::vector<float> sum(tokens, 0.0F);
      for (std::size_t c = 0; c < channels; ++c) {
        const std::vector<float> one = asked(model, {"--channel", std::to_string(c), "--row", "last"}, one_row);
        for (std::size_t k = 0; k < tokens; ++k)
          sum[k] += (over == "mean" ? one[k] : std::abs(one[k])) / static_cast<float>(channels);
      }
      CHECK(difference(sum, last) <= in_float * largest(map));
    }
    const std::vector<float> channel = asked(model, {"--channel", "5"}, whole_map);
    CHECK(largest(channel) > 0);
    CHECK(difference(asked(model, {"--channel", "5", "--row", "7"}, one_row),
                     std::span(channel).subspan(7 * tokens, tokens)) <= in_float * largest(channel));
  }
}

TEST_CASE("attention: rows of RWKV-4 are weighted means times a gate and stay below 1") {
  const std::vector<float> map = asked(rwkv4, {"--reduce", "mean"}, whole_map);
  for (std::size_t i = 0; i < tokens; ++i) {
    const float sum = std::accumulate(map.begin() + static_cast<std::ptrdiff_t>(i * tokens),
                                      map.begin() + static_cast<std::ptrdiff_t>((i + 1) * tokens), 0.0F);
    CHECK(sum > 0);
    CHECK(sum < 1);
  }
}

TEST_CASE("attention: .npy, .npz, .json and the terminal have the same numbers and .png is a picture of them") {
  const temporary_folder folder;
  const auto file = [&](const char* name) -> std::string { return folder.path() / name; };
  const std::vector<std::string> line{"attention", mamba, "--ids", ids, "--layer", "1", "--reduce", "abs-mean"};
  const auto with = [&](std::initializer_list<std::string> more) {
    std::vector<std::string> all = line;
    all.insert(all.end(), more);
    return all;
  };
  for (const char* name : {"m.npy", "m.npz", "m.json", "m.png"}) output_of(with({"-o", file(name)}));
  const std::vector<float> map = parse_npy(bytes_of_file(file("m.npy"))).numbers;
  REQUIRE(map.size() == tokens * tokens);
  const std::string archive = bytes_of_file(file("m.npz"));
  CHECK(npz_member(archive, "attention.npy") == bytes_of_file(file("m.npy")));
  CHECK(contains(npz_member(archive, "ids.npy"), "'shape': (11,)"));
  const json j = json::parse(bytes_of_file(file("m.json")));
  CHECK(contains(j["map"].get<std::string>(), "exact H"));
  CHECK(contains(j["map"].get<std::string>(), "skip included"));
  CHECK(contains(j["map"].get<std::string>(), "before its output projection"));
  CHECK(j["architecture"] == "mamba");
  CHECK(j["layer"] == 1);
  CHECK(j["reduce"] == "abs-mean");
  REQUIRE(j["tokens"].size() == tokens);
  CHECK(j["tokens"][0]["id"] == 72);
  CHECK(j["tokens"][0]["piece"] == "H");
  REQUIRE(j["values"].size() == tokens);
  for (std::size_t i = 0; i < tokens; ++i)
    CHECK(difference(j["values"][i].get<std::vector<float>>(), std::span(map).subspan(i * tokens, tokens)) == 0);
  CHECK(json::parse(output_of(line)) == j);
  const picture p = parse_png(bytes_of_file(file("m.png")));
  CHECK(p.width == p.height);
  CHECK(p.width % tokens == 0);
  CHECK(p.width >= tokens);
  const std::string row = output_of(with({"--row", "last"}));
  CHECK(std::count(row.begin(), row.end(), '\n') == tokens);
}

TEST_CASE("attention: text is what its bytes are and a plan is printed without writing anything") {
  const temporary_folder folder;
  const std::string by_text = folder.path() / "text.npy", by_ids = folder.path() / "ids.npy";
  output_of({"attention", rwkv4, "--text", "Hello there", "--layer", "0", "-o", by_text});
  output_of({"attention", rwkv4, "--ids", ids, "--layer", "0", "-o", by_ids});
  CHECK(bytes_of_file(by_text) == bytes_of_file(by_ids));
  const std::string planned = folder.path() / "planned.npy";
  const std::string plan =
      output_of({"attention", rwkv4, "--ids", ids, "--layer", "0", "--plan", "--row", "3", "-o", planned});
  for (const char* word :
       {"query", "backend", "tokens, channels 11, 64", "strategy", "operations", "bytes moved", "peak memory"})
    CHECK(contains(plan, word));
  CHECK_FALSE(std::filesystem::exists(planned));
}

TEST_CASE("attention: a plan as JSON has the sums of its steps, and its peak is a limit that suffices") {
  const temporary_folder folder;
  const std::string file = folder.path() / "plan.json", map = folder.path() / "map.npy";
  const std::vector<std::string> line{"attention", mamba, "--ids", ids, "--layer", "0"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), line.begin(), line.end());
    return more;
  };
  output_of(with({"--plan", "-o", file}));
  const nlohmann::json plan = nlohmann::json::parse(bytes_of_file(file));
  double flops = 0, calls = 0;
  for (const auto& [kernel, work] : plan["steps"].items()) {
    flops += work["flops"].get<double>();
    calls += work["calls"].get<double>();
  }
  CHECK(flops == doctest::Approx(plan["all"]["flops"].get<double>()).epsilon(1e-12));
  CHECK(calls == plan["all"]["calls"].get<double>());
  CHECK(plan["steps"].contains("channel_map"));
  const std::size_t peak = plan["peak_bytes"].get<std::size_t>();
  output_of(with({"--max-memory", std::to_string(peak), "-o", map}));
  CHECK(std::filesystem::exists(map));
}

// ---- bench

TEST_CASE("bench runs every case at small sizes and prints ratios") {
  const temporary_folder folder;
  const std::string file = folder.path() / "times.json";
  const outcome o = run_command({"bench", "--small", "--json", file});
  if (o.status == 2) {
    MESSAGE("skipped: alphaform was built without Google Benchmark");
    CHECK(contains(o.err, "libbenchmark-dev"));
    return;
  }
  CHECK(o.status == 0);
  for (const char* name : {"mamba/apply", "mamba/map-max", "griffin/apply", "gla/apply", "hyena/apply",
                           "model/tiny-gradient", "rollout/4096"})
    CHECK(contains(o.out, name));
  CHECK(nlohmann::json::parse(bytes_of_file(file)).size() > 0);
  CHECK(run_command({"bench", "no-such-case"}).status == 2);
  const outcome replayed = run_command({"bench", "--small", "--replay", "mamba-core/apply"});
  CHECK(replayed.status == 0);
  CHECK(replayed.out.find("mamba-core/apply") != std::string::npos);
}

// ---- explain

TEST_CASE("explain writes a report, pictures and numbers that agree and prints the prediction") {
  const temporary_folder folder;
  const std::filesystem::path to = folder.path() / "new" / "report";
  for (const std::string method : {"rollout", "raw"}) {
    CAPTURE(method);
    const std::string text =
        output_of({"explain", sentiment, "--text", "a joy to watch", "--method", method, "-o", to});
    CHECK(contains(text, "positive"));
    CHECK(text.find("positive") < text.find("negative"));
    CHECK(contains(text, "watch"));
    CHECK(contains(text, (to / "report.html").string()));
    CHECK_FALSE(contains(text, "\x1b"));  // no colours where there is no terminal
    const json j = json::parse(bytes_of_file(to / "result.json"));
    CHECK(j["text"] == "a joy to watch");
    CHECK(j["method"] == method);
    CHECK(j["predictions"][0]["label"] == "positive");
    CHECK(j["predictions"][0]["probability"].get<double>() + j["predictions"][1]["probability"].get<double>() ==
          doctest::Approx(1).epsilon(1e-12));
    const std::size_t count = j["tokens"].size();
    REQUIRE(count == 5);
    CHECK(j["tokens"][4]["special"] == true);
    std::vector<float> scores;
    for (const json& t : j["tokens"]) scores.push_back(t["score"]);
    CHECK(std::accumulate(scores.begin(), scores.end(), 0.0F) == doctest::Approx(1).epsilon(1e-6));
    for (const json& c : j["checks"]) CHECK(c["pass"] == true);
    CHECK(j["checks"].size() >= 3);
    const std::string archive = bytes_of_file(to / "result.npz");
    CHECK(difference(parse_npy(npz_member(archive, "scores.npy")).numbers, scores) == 0);
    for (const char* layer : {"layer_0", "layer_1", "layer_2"}) {
      CHECK(parse_npy(npz_member(archive, (std::string(layer) + ".npy").c_str())).numbers.size() == count * count);
      CHECK(parse_png(bytes_of_file(to / (std::string(layer) + ".png"))).width % count == 0);
    }
    CHECK(parse_png(bytes_of_file(to / "layers.png")).width > 0);
    const std::string report = bytes_of_file(to / "report.html");
    CHECK(contains(report, "a joy to watch"));
    CHECK(contains(report, "<canvas"));
    CHECK(contains(report, "<math"));
    CHECK_FALSE(contains(report, "src=\"http"));  // one file, offline
    CHECK_FALSE(contains(report, "<link"));
  }
}

TEST_CASE("explain: the opposite sentence is predicted the other way and ids give what their text gives") {
  const std::string text = output_of({"explain", sentiment, "--text", "a waste of time"});
  CHECK(text.find("negative") < text.find("positive"));
  const temporary_folder folder;
  const std::filesystem::path one = folder.path() / "one", other = folder.path() / "other";
  output_of({"explain", rwkv4, "--text", "Hello there", "-o", one});
  output_of({"explain", rwkv4, "--ids", ids, "-o", other});
  CHECK(bytes_of_file(one / "result.npz") == bytes_of_file(other / "result.npz"));
}

}  // namespace
}  // namespace alphaform
