// PyTorch files: trained models against their safetensors twins, views against the formula of strides, and hostile
// pickles and archives, which are refused or stay inert.
#include <doctest/doctest.h>

#include <alphaform/architectures/checkpoint/checkpoint.hpp>
#include <alphaform/architectures/checkpoint/pickle.hpp>
#include <alphaform/architectures/checkpoint/torch_file.hpp>
#include <chrono>
#include <map>

#include "../shared_data.hpp"
#include "../temporary_folder.hpp"
#include "torch_image.hpp"

namespace {

using alphaform::checkpoint;
using alphaform::stored_tensor;
using alphaform::values;
using namespace alphaform::test;

struct content final {
  alphaform::dtype type;
  std::vector<std::int64_t> shape;
  std::string bytes;
  bool operator==(const content&) const = default;
};

/// Everything that a checkpoint's tensors say, by name.
std::map<std::string, content> contents_of(const checkpoint& file) {
  std::map<std::string, content> all;
  for (const stored_tensor& t : file.tensors()) {
    all[t.name] = {t.type, t.shape, std::string(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size())};
  }
  return all;
}

std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A checkpoint of this image.
checkpoint opened(const std::string& image) {
  static const temporary_folder folder;
  return checkpoint::open(folder.write("m.pth", image));
}

/// A checkpoint whose saved object is this value, with a storage "0" of four floats.
checkpoint saved(const std::string& value) { return opened(torch_image(pickled_as(value), {counting<float>(4)})); }

std::vector<std::string> names_of(const checkpoint& file) {
  std::vector<std::string> names;
  for (const stored_tensor& t : file.tensors()) names.push_back(t.name);
  return names;
}

std::vector<float> floats_of(const checkpoint& file, const char* name) { return values<float>(file.at(name)); }

void refused_value(const std::string& value, std::initializer_list<std::string_view> words) {
  check_refused([&] { saved(value); }, words);
}

void refused_image(const std::string& image, std::initializer_list<std::string_view> words) {
  check_refused([&] { opened(image); }, words);
}

using list = std::vector<std::string>;

TEST_SUITE("checkpoint/torch") {
  TEST_CASE("trained models are bit-identical to the safetensors that their authors' code made of them") {
    SKIP_WITHOUT_SHARED("models/mamba-mnist");
    SKIP_WITHOUT_SHARED("models/rwkv7-reverse");
    const auto mamba = *shared("models/mamba-mnist"), rwkv = *shared("models/rwkv7-reverse");
    const auto state = checkpoint::open(mamba / "Mamba_best.pth");  // beside an optimiser, a scheduler and settings
    CHECK(state.format() == "PyTorch");
    CHECK(state.config()["model_type"] == "mamba");
    CHECK(contents_of(state) == contents_of(checkpoint::open(mamba / "model.safetensors")));
    CHECK(state.tensors().size() == 24);
    CHECK(contents_of(checkpoint::open(rwkv / "260123_reverse_L2_only_rwkv7.pth")) ==
          contents_of(checkpoint::open(rwkv / "model.safetensors")));
  }

  TEST_CASE("a view's element (i, j, k) is the storage's element offset + i s0 + j s1 + k s2") {
    std::mt19937 random(7);
    const auto up_to = [&random](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
    constexpr int elements = 200;
    for (int round = 0; round < 300; ++round) {
      const std::vector<std::int32_t> size{up_to(3), up_to(4), up_to(5)}, stride{up_to(20), up_to(12), up_to(9)};
      const int offset = up_to(30);
      const auto file = opened(torch_image(
          pickled_as(dict({text("w"), tensor(storage("FloatStorage", "0", elements), offset, size, stride)})),
          {counting<float>(elements)}));
      std::vector<float> expected;
      for (int i = 0; i < size[0]; ++i)
        for (int j = 0; j < size[1]; ++j)
          for (int k = 0; k < size[2]; ++k)
            expected.push_back(static_cast<float>(offset + i * stride[0] + j * stride[1] + k * stride[2]));
      REQUIRE(file.at("w").shape == std::vector<std::int64_t>(size.begin(), size.end()));
      REQUIRE(values<float>(file.at("w")) == expected);
    }
  }

  TEST_CASE("every plain storage type, scalars, empty tensors and shared storages") {
    const auto types = std::vector<std::pair<const char*, std::string>>{
        {"DoubleStorage", counting<double>(3)},    {"LongStorage", counting<std::int64_t>(3)},
        {"IntStorage", counting<std::int32_t>(3)}, {"ShortStorage", counting<std::int16_t>(3)},
        {"CharStorage", counting<std::int8_t>(3)}, {"ByteStorage", counting<std::uint8_t>(3)},
        {"FloatStorage", counting<float>(3)}};
    for (const auto& row : types) {
      const std::string type = row.first;
      const std::string& bytes = row.second;
      CAPTURE(type);
      const auto file =
          opened(torch_image(pickled_as(dict({text("w"), tensor(storage(type, "0", 3), 2, {2}, {0}), text("scalar"),
                                              tensor(storage(type, "0", 3), 1, {}, {}), text("none"),
                                              tensor(storage(type, "1", 0), 0, {0, 3}, {3, 1})})),
                             {bytes, ""}));
      const auto numbers_of = [&](const char* name) {
        std::vector<double> all;
        if (type == "DoubleStorage" || type == "FloatStorage") return values<double>(file.at(name));
        for (const std::int64_t n : values<std::int64_t>(file.at(name))) all.push_back(static_cast<double>(n));
        return all;
      };
      CHECK(numbers_of("w") == std::vector<double>{2, 2});
      CHECK(numbers_of("scalar") == std::vector<double>{1});
      CHECK(file.at("scalar").shape.empty());
      CHECK(numbers_of("none").empty());
      CHECK(file.at("none").shape == std::vector<std::int64_t>{0, 3});
    }
    const auto halves =
        opened(torch_image(pickled_as(dict({text("h"), tensor(storage("HalfStorage", "0", 2), 0, {2}, {1}), text("b"),
                                            tensor(storage("BFloat16Storage", "1", 2), 0, {2}, {1}), text("t"),
                                            tensor(storage("BoolStorage", "2", 2), 0, {2}, {1})})),
                           {raw<std::uint16_t>(0x3E00) + raw<std::uint16_t>(0xC000),
                            raw<std::uint16_t>(0x4049) + raw<std::uint16_t>(0xBF80), std::string("\1\0", 2)}));
    CHECK(values<float>(halves.at("h")) == std::vector<float>{1.5F, -2.0F});
    CHECK(values<float>(halves.at("b")) == std::vector<float>{3.140625F, -1.0F});
    CHECK(halves.at("t").type == alphaform::dtype::boolean);

    const auto tied =
        saved(dict({text("a"), four(), text("b"), tensor(storage("FloatStorage", "0", 4), 2, {1, 2}, {99, 1})}));
    CHECK(tied.at("b").bytes.data() == tied.at("a").bytes.data() + 8);  // shared as in the file
    CHECK(values<float>(tied.at("b")) == std::vector<float>{2, 3});
  }

  TEST_CASE(
      "the state dict is the first of model, model_state_dict and state_dict that holds tensors, else the whole") {
    const std::string other = dict({text("x"), four()});
    CHECK(names_of(saved(other)) == list{"x"});
    CHECK(names_of(saved(dict({text("optimizer"), other, text("model"), dict({text("y"), four()})}))) == list{"y"});
    CHECK(names_of(saved(dict({text("state_dict"), other, text("model"), dict({text("y"), number(3)}), text("epoch"),
                               number(7)}))) == list{"x"});
    CHECK(names_of(saved(dict({text("model_state_dict"), dict({text("y"), four()}), text("state_dict"), other}))) ==
          list{"y"});
    CHECK(names_of(saved(dict({text("net"), dict({text("fc"), dict({text("w"), four()}), number(0), four()}),
                               text("layers"), "](" + four() + "N" + four() + "e", text("acc"), "G" + raw(0.5)}))) ==
          list{"layers.0", "layers.2", "net.0", "net.fc.w"});
    const std::string parameter = call(global("torch._utils", "_rebuild_parameter"), {four(), "\x88", ordered_dict()});
    const std::string stateful =
        call(global("torch._utils", "_rebuild_parameter_with_state"), {four(), "\x88", ordered_dict(), "}"});
    CHECK(names_of(saved(ordered_dict() + "(" + text("p") + parameter + text("q") + stateful + "u}" +
                         text("_metadata") + ordered_dict() + "sb")) == list{"p", "q"});
    CHECK(floats_of(saved(dict({text("p"), stateful})), "p") == std::vector<float>{0, 1, 2, 3});
    refused_value(dict({text("x"), number(1)}), {"'", "m.pth", "holds no tensors", "model.state_dict()"});
    refused_value(four(), {"_rebuild_tensor_v2", "not a state dict"});
    refused_value("](" + four() + "e", {"not a dict"});
    refused_value(dict({text("a.b"), four(), text("a"), dict({text("b"), four()})}), {"'a.b' twice"});
  }

  TEST_CASE("nothing is run: what asks for other code is inert beside the weights and refused as a tensor") {
    const temporary_folder folder;
    const std::string command = "touch " + (folder.path() / "ran").string();
    const std::string attack = call(global("os", "system"), {text(command)});
    const std::string posix = call(global("posix", "system"), {text(command)});
    const std::string evaluated =
        call(global("builtins", "eval"), {text("__import__('os').system('" + command + "')")});
    const std::string weights = dict({text("w"), four()});
    const auto beside =
        saved(dict({text("model"), weights, text("args"), attack, text("more"), posix, text("yet"), evaluated}));
    CHECK(names_of(beside) == list{"w"});
    CHECK(names_of(saved(attack + "0" + posix + "0" + weights)) == list{"w"});
    CHECK(names_of(saved(dict({text("epoch"), attack, text("w"), four()}))) == list{"w"});
    refused_value(attack, {"asks for 'os.system', which alphaform does not run"});
    refused_value(dict({text("w"), call(global("os", "system"), {four()})}),
                  {"'w' asks for 'os.system', which alphaform does not run"});
    refused_value(dict({text("w"), call(attack, {four()})}), {"'w' asks for 'os.system'"});
    refused_value(dict({text("model"), attack + dict({text("w"), four()}) + "b"}), {"'model' asks for 'os.system'"});
    CHECK(std::filesystem::is_empty(folder.path()));

    // argparse.Namespace as protocol 2 writes it, a set, and a NumPy number: data beside the weights
    const std::string name_space = global("argparse", "Namespace") + ")\x81" + dict({text("lr"), "G" + raw(0.1)}) + "b";
    const std::string set = call(global("__builtin__", "set"), {"](" + number(1) + "e"});
    const std::string dtype =
        call(global("numpy", "dtype"), {text("f8"), "\x89", "\x88"}) + tuple({number(3), text("<")}) + "b";
    const std::string scalar = call(global("numpy.core.multiarray", "scalar"),
                                    {dtype, call(global("_codecs", "encode"), {text("12345678"), text("latin1")})});
    CHECK(names_of(saved(dict(
              {text("args"), name_space, text("seen"), set, text("best"), scalar, text("w"), four()}))) == list{"w"});
    const std::string array = call(global("numpy.core.multiarray", "_reconstruct"),
                                   {global("numpy", "ndarray"), tuple({number(0)}), number(98)});
    refused_value(dict({text("w"), array}), {"'w' asks for 'numpy.core.multiarray._reconstruct'"});
    refused_value(
        dict({text("w"), call(global("torch._utils", "_rebuild_qtensor"), {storage("QInt8Storage", "0", 4)})}),
        {"'w' asks for 'torch._utils._rebuild_qtensor'"});
    refused_value(dict({text("w"), tensor(storage("ComplexFloatStorage", "0", 1), 0, {1}, {1})}),
                  {"'w' asks for 'torch.ComplexFloatStorage'"});
    refused_value(dict({text("w"), tensor(call(global("torch.storage", "_load_from_bytes"), {text("")}), 0, {1}, {1})}),
                  {"'w' asks for 'torch.storage._load_from_bytes'"});
    refused_value(global("models", "Net") + ")\x81" + dict({text("_parameters"), weights}) + "b",
                  {"asks for 'models.Net'", "a whole object", "state_dict()"});
  }

  TEST_CASE("opcodes of protocols 4 and 5") {
    const auto word = [](const std::string& s) {
      return "\x8C" + std::string(1, static_cast<char>(s.size())) + s + "\x94";
    };
    const std::string frame = std::string("\x95") + raw<std::uint64_t>(2) + "}\x94";
    const std::string stack_global = word("torch._utils") + word("_rebuild_tensor_v2") + "\x93";
    const auto file = saved(frame + word("w") + stack_global + "(" + storage("FloatStorage", "0", 4) + "K\1" +
                            "\x8A\1\2\x85" + "\x8A\1\1\x85" + "\x89" + ordered_dict() + "tR" + "s" + word("seen") +
                            "\x8F(\x88\x90" + "s" + word("raw") + "C\3abc" + "s");
    CHECK(values<float>(file.at("w")) == std::vector<float>{1, 2});
  }

  TEST_CASE("integers of every width, with their signs") {  // pickletools, decode_long
    const auto integer = [](const std::string& opcodes) {
      const auto read = alphaform::parse_pickle(bytes_of(pickled_as(opcodes)), "'p'");
      REQUIRE(read[read.root].is == alphaform::pickled::kind::integer);
      return read[read.root].integer;
    };
    CHECK(integer("K\xFF") == 255);
    CHECK(integer("M\xFF\xFF") == 65535);
    CHECK(integer("J\xFE\xFF\xFF\xFF") == -2);
    CHECK(integer(std::string("\x8A\0", 2)) == 0);
    CHECK(integer("\x8A\1\xFF") == -1);
    CHECK(integer(std::string("\x8A\2\xFF\0", 4)) == 255);
    CHECK(integer("\x8A\2\xFF\x7F") == 32767);
    CHECK(integer(std::string("\x8A\2\0\x80", 4)) == -32768);
    CHECK(integer(std::string("\x8A\5\0\0\0\0\1", 7)) == std::int64_t{1} << 32);
    const auto wide = alphaform::parse_pickle(bytes_of(pickled_as("\x8A\x09"
                                                                  "123456789")),
                                              "'p'");
    CHECK(wide[wide.root].is == alphaform::pickled::kind::other);
  }

  TEST_CASE("malformed pickles are refused with the reason") {
    const auto refused = [](const std::string& pickle, std::initializer_list<std::string_view> words) {
      check_refused([&] { alphaform::parse_pickle(bytes_of(pickle), "the data.pkl of 'x.pth'"); }, words);
    };
    const std::string whole = pickled_as(dict({text("model"), dict({text("w"), four()}), text("epoch"), number(7)}));
    CHECK(alphaform::parse_pickle(bytes_of(whole), "x").values.size() > 20);
    for (std::size_t length = 0; length < whole.size(); ++length)
      refused(whole.substr(0, length), {"data.pkl of 'x.pth'", "truncated"});
    refused("\x80\x06.", {"protocol 6"});
    refused("\x80\x02.", {"byte 2", "0x2e", "needs more values"});
    refused("\x80\x02(.", {"needs more values"});
    refused("\x80\x02t.", {"needs a mark"});
    refused("\x80\x02}u.", {"needs a mark"});
    refused("\x80\x02Ne.", {"needs a mark"});
    refused("\x80\x02N(a.", {"needs more values"});
    refused("\x80\x02}(Ns.", {"needs more values"});
    refused("\x80\x02}(Nu.", {"a key without a value"});
    refused("\x80\x02NNa.", {"takes no members"});
    refused("\x80\x02)Na.", {"takes no members"});
    refused("\x80\x02N\x86.", {"needs more values"});
    refused("\x80\x02q\1.", {"needs more values"});
    refused(std::string("\x80\x02h\0.", 5), {"recalls a value that was not kept"});
    refused("\x80\x02j\xFF\xFF\xFF\xFF.", {"recalls"});
    refused("\x80\x02N)R.", {"function or class"});
    refused(
        "\x80\x02"
        "cos\nsystem\nNR.",
        {"tuple of arguments"});
    refused("\x80\x02N}b.", {"gives attributes to a value that has none"});
    refused(
        "\x80\x02"
        "cos\n" +
            std::string(5000, 'x'),
        {"name does not end"});
    refused("\x80\x02NN\x93.", {"needs a short text"});
    refused("\x80\x02X\xFF\xFF\xFF\xFFw.", {"truncated"});
    refused("\x80\x02\x8D\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFw.", {"truncated"});
    refused("\x80\x02\x95\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF.", {"truncated"});
    refused(
        "\x80\x02"
        "ios\nsystem\n.",
        {"0x69", "does not know"});                                   // INST
    refused("\x80\x02(cos\nsystem\no.", {"0x6f", "does not know"});   // OBJ
    refused("\x80\x02Pid\n.", {"0x50", "does not know"});             // PERSID
    refused("\x80\x02\x82\1.", {"0x82", "does not know"});            // EXT1
    refused("I1\n.", {"0x49", "does not know", "protocols 2 to 5"});  // INT of protocol 0
  }

  TEST_CASE("tensors that do not fit their storage are refused") {
    const auto view = [](int offset, const std::vector<std::int32_t>& size, const std::vector<std::int32_t>& stride) {
      return dict({text("w"), tensor(storage("FloatStorage", "0", 4), offset, size, stride)});
    };
    refused_value(view(1, {4}, {1}), {"'w'", "leaves its storage of 4 elements"});
    refused_value(view(4, {}, {}), {"leaves its storage"});
    refused_value(view(0, {2, 2}, {1, 3}), {"leaves its storage"});
    refused_value(view(-1, {1}, {1}), {"'w'", "not below 0"});
    refused_value(view(0, {2}, {-1}), {"not below 0"});
    refused_value(view(0, {-2}, {1}), {"not below 0"});
    refused_value(view(0, {2}, {1, 1}), {"as many strides as sizes"});
    refused_value(view(0, {2147483647, 2147483647, 2147483647}, {0, 0, 0}), {"overflows"});
    refused_value(view(0, {2147483647, 2}, {2147483647, 2147483647}), {"leaves its storage"});
    refused_value(view(0, {2147483647}, {0}), {"out of proportion"});  // 8 GiB out of 16 bytes
    refused_value(view(0, {16'777'216 + 5'000}, {0}), {"not contiguous", "out of proportion"});  // copies: 64 MiB
    refused_value(view(0, std::vector<std::int32_t>(65, 1), std::vector<std::int32_t>(65, 1)), {"short tuples"});
    refused_value(dict({text("w"), tensor(storage("FloatStorage", "0", 5), 0, {5}, {1})}),
                  {"5 elements", "has 16 bytes"});
    refused_value(dict({text("w"), tensor(storage("FloatStorage", "0", -1), 0, {1}, {1})}),
                  {"'w'", "storage is not described"});
    refused_value(dict({text("w"), tensor(storage("DoubleStorage", "0", 4), 0, {4}, {1})}),
                  {"4 elements of 8 bytes and has 16"});
    refused_value(dict({text("w"), tensor(storage("FloatStorage", "9", 4), 0, {4}, {1})}), {"no entry 'm/data/9'"});
    refused_value(dict({text("w"), tensor(storage("FloatStorage", "../data.pkl", 4), 0, {4}, {1})}), {"no entry"});
    refused_value(dict({text("w"), tensor(number(3), 0, {4}, {1})}), {"'w'", "no storage"});
    refused_value(
        dict({text("w"), call(global("torch._utils", "_rebuild_tensor_v2"), {storage("FloatStorage", "0", 4)})}),
        {"lacks"});
    refused_value(dict({text("w"), call(global("torch._utils", "_rebuild_parameter"), {})}),
                  {"parameter has no tensor"});
    refused_value(dict({text("w"), tensor(tuple({text("storage")}) + "Q", 0, {4}, {1})}), {"storage is not described"});
    refused_value(dict({"N", four()}), {"neither a number nor a text"});
    refused_value(dict({text(std::string(600, 'n')), four()}), {"512 bytes"});
    refused_value(dict({text("w\xFF"), four()}), {"UTF-8"});
  }

  TEST_CASE("pickles that are small but would be large are refused in bounded time and memory") {
    const auto start = std::chrono::steady_clock::now();
    const std::string weights = text("w") + four();
    // a tower of a million tuples beside the weights is only data; a tower that leads to a tensor is too deep
    const std::string tower(1'000'000, '\x85');
    CHECK(names_of(saved(dict({text("model"), dict({weights}), text("tower"), "N" + tower}))) == list{"w"});
    refused_value(dict({text("tower"), four() + tower}), {"deeper than 64"});
    CHECK(names_of(saved(dict({text("tower"), "N" + tower, weights}))) == list{"w"});
    // forty dicts, each with its predecessor twice: 2^40 tensors
    std::string doubling = dict({weights}) + "q\1";
    for (int level = 0; level < 40; ++level) doubling += "0}(" + text("a") + "h\1" + text("b") + "h\1" + "uq\1";
    refused_value(doubling, {"hold each other too often"});
    refused_value("}q\1(" + text("self") + "h\1" + weights + "u", {"deeper than 64"});
    refused_value("}q\1(" + text("a") + "h\1" + text("b") + "h\1" + "u" + text("w") + four() + "s", {"cannot read"});
    refused_value("](" + std::string(5'000'000, '}') + "e", {"more than 4194304 values"});
    check_refused([] { alphaform::parse_pickle(bytes_of(std::string((std::size_t{64} << 20U) + 1, '(')), "'p'"); },
                  {"at most 67108864"});
    std::string views;  // ten thousand times the same kilobyte, in a file of a hundred: shared, so no memory is taken
    for (int i = 0; i < 10'000; ++i) views += text(std::to_string(i)) + "h\1";
    const auto shared_view = tensor(storage("FloatStorage", "0", 256), 0, {256}, {1}) + "q\1" + "0}(" + views + "u";
    CHECK(names_of(opened(torch_image(pickled_as(shared_view), {counting<float>(256)}))).size() == 10'000);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(60));
  }

  TEST_CASE("archives that are no files of torch.save, or not whole, are refused with the reason") {
    const std::string pickle = pickled_as(dict({text("w"), four()}));
    const std::string data = counting<float>(4);
    const auto changed = [&](auto change) {
      auto entries = torch_entries(pickle, {data});
      change(entries);
      return zip_of(entries);
    };
    CHECK(floats_of(opened(changed([](auto&) {})), "w") == std::vector<float>{0, 1, 2, 3});
    CHECK(names_of(opened(changed([](auto& e) { e.erase(e.begin() + 1); }))) ==
          list{"w"});  // byteorder: since 2.1 only
    refused_image(changed([](auto& e) { e[1].content = "big"; }), {"byte order is 'big'", "little-endian"});
    refused_image(changed([](auto& e) { e[0].name = "m/data.pickle"; }), {"one entry <name>/data.pkl", "has 0"});
    refused_image(changed([](auto& e) { e.push_back({"n/data.pkl", "N."}); }), {"has 2"});
    refused_image(changed([](auto& e) { e.push_back({"m/constants.pkl", "N."}); }), {"TorchScript", "torch.jit.load"});
    refused_image(changed([](auto& e) { e.erase(e.begin() + 2); }), {"no entry 'm/data/0'"});
    refused_image(changed([](auto& e) { e[2].method = 8; }), {"'m/data/0'", "compressed", "torch.save never does"});
    refused_image(changed([](auto& e) { e[0].method = 8; }), {"'m/data.pkl'", "compressed"});
    refused_image(changed([](auto& e) { e[2].crc = 1; }), {"'m/data/0'", "CRC"});
    refused_image(changed([](auto& e) { e[2].size = 4'000'000'000U; }), {"'m/data/0'", "says 4000000000 bytes"});
    refused_image(changed([](auto& e) { e[2].offset = 7; }), {"'m/data/0'", "damaged"});
    refused_image(changed([](auto& e) { e[2].offset = 4'000'000'000U; }), {"damaged"});
    // entries that share their bytes: 30 tensors of 4 KiB out of one stretch
    std::vector<zip_entry> quilt{{"m/data/0", std::string(4096, '\1')}};
    std::string dict_of_all = "}(";
    for (int i = 0; i < 30; ++i) {
      const std::string key = std::to_string(i);
      if (i > 0) quilt.push_back({"m/data/" + key, "", 0, 4096U, crc32_of(quilt[0].content), 0U});
      dict_of_all += text(key) + tensor(storage("FloatStorage", key, 1024), 0, {1024}, {1});
    }
    quilt.push_back({"m/data.pkl", pickled_as(dict_of_all + "u")});
    refused_image(zip_of(quilt), {"of the file are left"});
    refused_image(zip_of(torch_entries(pickle, {data}), std::uint16_t{65535}), {"cannot read"});
    refused_image("PK\3\4", {"zip directory is not valid"});
    refused_image(std::string("PK\3\4") + std::string(1000, '\0'), {"zip directory is not valid"});
    refused_image("\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.\x80\x02M\xE9\x03.",
                  {"before version 1.6", "save it again", "torch.save("});
    refused_image("PK..", {"neither a .safetensors file", "torch.save"});
    refused_image("", {"neither a .safetensors file"});
  }

  TEST_CASE("a directory that claims four billion entries takes no memory for them") {
    // APPNOTE 4.3.14 and 4.3.15: the zip64 end of the directory and its locator
    std::string image = zip_of(torch_entries(pickled_as(dict({text("w"), four()})), {counting<float>(4)}));
    const std::string end = image.substr(image.size() - 22);
    std::uint32_t size = 0, offset = 0;
    std::memcpy(&size, end.data() + 12, 4);
    std::memcpy(&offset, end.data() + 16, 4);
    image.resize(image.size() - 22);
    const std::uint64_t at = image.size();
    for (const std::uint64_t count : {std::uint64_t{1} << 32U, std::uint64_t{1} << 40U, ~std::uint64_t{0}}) {
      const std::string bomb = image + "PK\6\6" + raw<std::uint64_t>(44) + raw<std::uint16_t>(45) +
                               raw<std::uint16_t>(45) + raw<std::uint32_t>(0) + raw<std::uint32_t>(0) + raw(count) +
                               raw(count) + raw<std::uint64_t>(size) + raw<std::uint64_t>(offset) + "PK\6\7" +
                               raw<std::uint32_t>(0) + raw(at) + raw<std::uint32_t>(1) + "PK\5\6" +
                               raw<std::uint32_t>(0) + std::string(12, '\xFF') + raw<std::uint16_t>(0);
      refused_image(bomb, {"cannot read"});
    }
  }

  TEST_CASE("a folder's PyTorch file is found if there is nothing in safetensors") {
    const temporary_folder folder;
    const auto image = [](const char* name) {
      return torch_image(pickled_as(dict({text(name), four()})), {counting<float>(4)});
    };
    const auto opens = [&] { return names_of(checkpoint::open(folder.path())); };
    check_refused(opens, {"neither model.safetensors nor model.safetensors.index.json", "pytorch_model.bin", "*.pth"});
    folder.write("config.json", R"({"model_type":"mamba"})");
    folder.write("a.pth", image("a"));
    CHECK(opens() == list{"a"});
    const auto with_config = checkpoint::open(folder.path());
    CHECK(with_config.config()["model_type"] == "mamba");
    folder.write("b.pth", image("b"));
    check_refused(opens, {"2 .pth files", "'a.pth' and 'b.pth'", "give the path of one"});
    folder.write("pytorch_model.bin", image("c"));
    CHECK(opens() == list{"c"});
    CHECK(names_of(checkpoint::open(folder.write("x.pt", image("d")))) == list{"d"});
  }

  TEST_CASE("the tensors outlive the file that was opened") {
    const stored_tensor* w = nullptr;
    std::optional<checkpoint> kept;
    {
      const auto file = saved(dict({text("w"), tensor(storage("FloatStorage", "0", 4), 0, {2, 2}, {1, 2})}));
      kept = file;
      w = file.find("w");
    }
    CHECK(values<float>(*w) == std::vector<float>{0, 2, 1, 3});
  }

  TEST_CASE("damaged files are refused or valid, never anything else") {
    const std::string valid = torch_image(
        pickled_as(
            dict({text("model"),
                  dict({text("w"), four(), text("v"), tensor(storage("LongStorage", "1", 6), 0, {2, 3}, {1, 2})}),
                  text("epoch"), number(3)})),
        {counting<float>(4), counting<std::int64_t>(6)});
    std::size_t elements = 0;
    const int refused_images = mutate(valid, 3000, [&](const std::string& image) {
      const auto file = opened(image);
      for (const auto& t : file.tensors()) elements += alphaform::element_count(t);
    });
    CHECK(refused_images > 1000);
    CHECK(elements > 0);

    // the same without the archive's checksums before it
    const std::string pickle =
        pickled_as(dict({text("w"), four(), text("v"), tensor(storage("LongStorage", "1", 6), 0, {2, 3}, {1, 2})}));
    const int refused_pickles = mutate(pickle, 3000, [&](const std::string& image) {
      elements += names_of(opened(torch_image(image, {counting<float>(4), counting<std::int64_t>(6)}))).size();
    });
    CHECK(refused_pickles > 1000);
  }

  TEST_CASE("a flipped byte of a trained model is noticed, or does not matter and a cut end is noticed") {
    SKIP_WITHOUT_SHARED("models/rwkv7-reverse");
    const auto path = *shared("models/rwkv7-reverse") / "260123_reverse_L2_only_rwkv7.pth";
    const std::string valid = read_whole(path);
    const auto expected = contents_of(checkpoint::open(path));
    std::mt19937 random(3);
    int refused = 0;
    for (int round = 0; round < 400; ++round) {
      std::string image = valid;
      const bool cut = round % 4 == 0;
      const std::size_t at = random() % valid.size();
      if (cut) image.resize(at);
      if (!cut) image[at] = static_cast<char>(image[at] ^ (1 << random() % 8));
      try {
        const bool same = contents_of(opened(image)) == expected;
        REQUIRE(same);
        REQUIRE_FALSE(cut);
      } catch (const alphaform::user_error&) {
        ++refused;
      }
    }
    CHECK(refused > 200);
  }
}

}  // namespace
