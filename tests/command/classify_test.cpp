// classify, verify and attention on images: counts of right labels that others computed, the same answer for every file
// format, and refusals.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "../recorded_images.hpp"
#include "../shared_data.hpp"
#include "run_command.hpp"

namespace alphaform {
namespace {

using nlohmann::json;
using test::check_refusal;
using test::output_of;
using test::recorded_images;
using test::temporary_folder;

const std::string vim = ALPHAFORM_SOURCE_DIR "/models/vim";

bool contains(std::string_view text, std::string_view word) { return text.find(word) != text.npos; }

TEST_CASE("classify gives the labels of Vim's record and counts the right ones") {
  const recorded_images recorded;
  const temporary_folder folder;
  const std::string images = folder.write("images", recorded.images_idx()),
                    labels = folder.write("labels", recorded.labels_idx());
  const json j = json::parse(output_of({"classify", vim, images, "--labels", labels, "--json"}));
  CHECK(j["model_type"] == "vim");
  CHECK(j["images"] == 32);
  CHECK(j["right"] == 29);  // the record's accuracy_of_32 is 0.90625
  CHECK(j["accuracy"] == 0.90625);
  const std::vector<std::int64_t> predicted = values<std::int64_t>(recorded.record.at("predicted"));
  const std::vector<float> logits = values<float>(recorded.record.at("logits"));
  REQUIRE(j["predicted"].size() == 32);
  for (std::size_t b = 0; b < 32; ++b) {
    const auto best = static_cast<std::size_t>(predicted[b]);
    CHECK(j["predicted"][b]["index"] == best);
    CHECK(j["predicted"][b]["true_index"] == recorded.labels[b]);
    double sum = 0;
    for (std::size_t k = 0; k < 10; ++k)
      sum += std::exp(static_cast<double>(logits[10 * b + k]) - static_cast<double>(logits[10 * b + best]));
    CHECK(std::abs(j["predicted"][b]["probability"].get<double>() - 1 / sum) < 1e-5);  // float32 logits
  }
  CHECK(j["predicted"][0]["label"] == "T-shirt/top");
  CHECK(output_of({"classify", vim, images, "--labels", labels}) == "29 of 32 right, 90.62 %\n");
}

TEST_CASE("classify says the same of plain, packed and PNG images, each image on one line") {
  const recorded_images recorded;
  const temporary_folder folder;
  const std::string plain = folder.write("images", recorded.images_idx()),
                    packed = folder.write("images.gz", test::gzip_bytes(recorded.images_idx()));
  const std::string text = output_of({"classify", vim, plain});
  CHECK(std::count(text.begin(), text.end(), '\n') == 32);
  CHECK(output_of({"classify", vim, packed}) == text);
  const std::string first = output_of({"classify", vim, plain, "--first", "3"});
  CHECK(std::count(first.begin(), first.end(), '\n') == 3);
  CHECK(text.starts_with(first));
  CHECK(output_of({"classify", vim, plain, "--first", "1000"}) == text);
  const std::string picture = folder.write("p.png", test::png_bytes(28, 28, PNG_FORMAT_GRAY, recorded.image(0)));
  CHECK(output_of({"classify", vim, picture}) == output_of({"classify", vim, plain, "--first", "1"}));
}

TEST_CASE("classify gets 293 of the first 300 MNIST images right, one pixel a step") {
  SKIP_WITHOUT_SHARED("models/mamba-mnist");
  SKIP_WITHOUT_SHARED("data/mnist");
  const std::filesystem::path data = *test::shared("data/mnist");
  const json j =
      json::parse(output_of({"classify", *test::shared("models/mamba-mnist"), data / "t10k-images-idx3-ubyte.gz",
                             "--labels", data / "t10k-labels-idx1-ubyte.gz", "--first", "300", "--json"}));
  // A forward pass in NumPy from the model's description is right on 293 and wrong on these.
  CHECK(j["right"] == 293);
  struct mistake final {
    std::size_t image, predicted, label;
  };
  for (const mistake& m :
       {mistake{18, 5, 3}, {149, 7, 2}, {167, 3, 5}, {193, 8, 9}, {217, 5, 6}, {232, 6, 8}, {247, 2, 4}}) {
    CHECK(j["predicted"][m.image]["index"] == m.predicted);
    CHECK(j["predicted"][m.image]["true_index"] == m.label);
  }
}

TEST_CASE("classify refuses what is no classifier of images, no image, or other labels, in one sentence") {
  const recorded_images recorded;
  const temporary_folder folder;
  const auto file = [&](const char* name, const std::string& bytes) -> std::string {
    return folder.write(name, bytes);
  };
  const std::string images = file("images", recorded.images_idx());
  const auto classify = [&](const std::string& of, std::string_view word, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"classify", vim, of});
    check_refusal(more, word);
  };
  for (const char* text : {"/models/golden/mamba", "/models/sentiment"})
    check_refusal({"classify", std::string(ALPHAFORM_SOURCE_DIR) + text, images}, "no classifier of images");
  classify(folder.path() / "nothing", "No such file");
  classify(folder.path(), "not a regular file");
  classify(file("empty", ""), "no IDX");
  classify(file("cut", recorded.images_idx().substr(0, 20000)), "not whole");
  classify(file("cut.gz", test::gzip_bytes(recorded.images_idx()).substr(0, 2000)), "cut off");
  classify(file("small", test::idx_bytes({1, 4, 4}, std::span(recorded.samples).first(16))), "28 x 28");
  classify(file("wide.png", test::png_bytes(56, 14, PNG_FORMAT_GRAY, recorded.image(0))), "28 x 28");
  const std::vector<std::uint8_t> coloured(3 * 28 * 28, 7);
  classify(file("rgb.png", test::png_bytes(28, 28, PNG_FORMAT_RGB, coloured)), "channels");
  classify(images, "cannot read", {"--labels", folder.path() / "nothing"});
  classify(images, "labels", {"--labels", images});
  classify(images, "31 labels",
           {"--labels", file("short", test::idx_bytes({31}, std::span(recorded.labels).first(31)))});
  std::vector<std::uint8_t> eleventh = recorded.labels;
  eleventh[5] = 10;
  classify(images, "the label 10", {"--labels", file("eleven", test::idx_bytes({32}, eleventh))});
}

TEST_CASE("verify passes Vim and checks the identity of a model of images without a record") {
  for (const char* dtype : {"f32", "f64"})
    CHECK(contains(output_of({"verify", vim, "--dtype", dtype}), "16 passed, 0 failed, 0 skipped"));
  const temporary_folder folder;
  for (const char* name : {"config.json", "model.safetensors"})
    std::filesystem::copy_file(vim + "/" + name, folder.path() / name);
  const std::string alone = output_of({"verify", folder.path(), "--dtype", "f64"});
  CHECK(contains(alone, "identity_rows.4"));
  CHECK(contains(alone, "10 passed, 0 failed, 6 skipped"));
  check_refusal({"verify", vim, "--ids", "1,2"}, "not token ids");
  check_refusal({"verify", vim, "--jacobian"}, "--jacobian");
}

TEST_CASE("attention on an image: a row is a row of the map, and tokens are patches around the class token") {
  const recorded_images recorded;
  const temporary_folder folder;
  const std::string images = folder.write("images.gz", test::gzip_bytes(recorded.images_idx())),
                    picture = folder.write("3.png", test::png_bytes(28, 28, PNG_FORMAT_GRAY, recorded.image(3)));
  const json map = json::parse(output_of({"attention", vim, "--image", images, "--index", "3", "--layer", "1"})),
             row = json::parse(test::bytes_of_file([&] {
               const std::string to = folder.path() / "row.json";
               output_of({"attention", vim, "--image", picture, "--layer", "1", "--row", "24", "-o", to});
               return to;
             }()));
  REQUIRE(map["values"].size() == 50);
  CHECK(map["architecture"] == "vim");
  CHECK(map["tokens"][23] == json{{"row", 3}, {"column", 2}});
  CHECK(map["tokens"][24] == json{{"class_token", true}});
  CHECK(map["tokens"][25] == json{{"row", 3}, {"column", 3}});
  CHECK(row["tokens"] == map["tokens"]);
  double largest = 0;
  for (const json& v : map["values"][24]) largest = std::max(largest, std::abs(v.get<double>()));
  CHECK(std::abs(map["values"][24][49].get<double>()) > 1e-6);  // it looks both ways
  for (std::size_t k = 0; k < 50; ++k)
    CHECK(std::abs(map["values"][24][k].get<double>() - row["values"][k].get<double>()) <= 2e-5 * largest);
  const std::string text = output_of({"attention", vim, "--image", picture, "--layer", "0", "--row", "last"});
  CHECK(contains(text, "class token"));
  CHECK(contains(text, "patch 6, 6"));
}

TEST_CASE("attention and explain refuse images for models of text, text for models of images, and both at once") {
  const recorded_images recorded;
  const temporary_folder folder;
  const std::string images = folder.write("images", recorded.images_idx());
  check_refusal({"attention", ALPHAFORM_SOURCE_DIR "/models/golden/mamba", "--image", images, "--layer", "0"},
                "not images");
  check_refusal({"attention", vim, "--text", "a", "--layer", "0"}, "reads images");
  check_refusal({"attention", vim, "--ids", "1", "--layer", "0"}, "reads images");
  check_refusal({"attention", vim, "--ids", "1", "--image", images, "--layer", "0"}, "one of");
  check_refusal({"attention", vim, "--image", images, "--index", "32", "--layer", "0"}, "0 to 31");
  check_refusal({"attention", vim, "--image", images, "--row", "50", "--layer", "0"}, "0 to 49");
  check_refusal({"explain", vim, "--text", "a"}, "reads images");
  check_refusal({"explain", vim, "--ids", "1"}, "reads images");
}

}  // namespace
}  // namespace alphaform
