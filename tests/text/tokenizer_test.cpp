// Text to tokens: ids of third parties (the tiny models' tokenizer, GPT-NeoX, and tokenizers 0.23.3 for the options
// they do not use), what tokens stand for, cost on long words, and the refusal of malformed files.
#include <doctest/doctest.h>

#include <alphaform/architectures/checkpoint/untrusted_json.hpp>
#include <alphaform/architectures/text/byte_level.hpp>
#include <alphaform/architectures/text/cleaning.hpp>
#include <alphaform/architectures/text/tokenizer.hpp>
#include <alphaform/architectures/text/unicode.hpp>
#include <alphaform/error.hpp>
#include <nlohmann/json.hpp>

#include "../shared_data.hpp"
#include "../temporary_folder.hpp"

namespace {

using alphaform::token;
using alphaform::tokenizer;
using nlohmann::json;
using ids = std::vector<std::int64_t>;
using namespace alphaform::test;

ids ids_of(const std::vector<token>& tokens) {
  ids result;
  for (const token& one : tokens) result.push_back(one.id);
  return result;
}

std::string joined(const std::vector<token>& tokens) {
  std::string text;
  for (const token& one : tokens) text += (text.empty() ? "" : "|") + one.piece;
  return text;
}

/// A byte-level BPE in which byte b has the id b, twelve merges have 256 to 267 and "hey" has 268.
json small_tokenizer() {
  json vocab;
  char32_t next = 0x100;
  for (char32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
    vocab[alphaform::to_utf8(printable ? byte : next++)] = byte;
  }
  const json merges =
      json::parse(R"([["a","a"],["h","e"],["l","l"],["he","ll"],["hell","o"],["\u0120","w"],["aa","aa"],["o","r"],
                                      ["\u0120w","or"],["\u0120","\u0120"],["1","2"],["\u00c3","\u00a9"]])");
  for (const json& pair : merges) vocab[pair[0].get<std::string>() + pair[1].get<std::string>()] = vocab.size();
  vocab["hey"] = vocab.size();
  return {{"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}}}};
}

/// The small tokenizer with an RFC 7396 merge patch, written to a file and loaded.
tokenizer patched(const temporary_folder& folder, const std::string& patch) {
  json all = small_tokenizer();
  all.merge_patch(json::parse(patch));
  return tokenizer::load(folder.write("tokenizer.json", all.dump()));
}

struct example {
  std::string text;
  ids with_special, without_special;
};

struct option {
  const char* name;
  std::string patch;
  std::vector<example> examples;
};

/// Ids from the Python package tokenizers 0.23.3.
const std::vector<option> options = {
    {"merges by rank, then leftmost",
     R"j({})j",
     {{"hello world", {260, 264, 108, 100}, {260, 264, 108, 100}},
      {"aaaaa", {262, 97}, {262, 97}},
      {"aaaaaaa", {262, 256, 97}, {262, 256, 97}},
      {"hey h\303\251llo", {257, 121, 32, 104, 267, 258, 111}, {257, 121, 32, 104, 267, 258, 111}},
      {"  wor  ", {32, 264, 265}, {32, 264, 265}},
      {"1212 12", {266, 266, 32, 266}, {266, 266, 32, 266}},
      {"it's we'LL'd\343\200\200x\302\240\302\240y\011\012 z",
       {105, 116, 39, 115, 261, 101, 39, 76, 76, 39, 100, 227, 128, 128, 120, 194, 160, 194, 160, 121, 9, 10, 32, 122},
       {105, 116, 39,  115, 261, 101, 39,  76,  76, 39, 100, 227,
        128, 128, 120, 194, 160, 194, 160, 121, 9,  10, 32,  122}}}},
    {"ignore_merges",
     R"j({"model":{"ignore_merges":true}})j",
     {{"hey", {268}, {268}}, {"hey hey", {268, 32, 257, 121}, {268, 32, 257, 121}}, {"aaaa", {262}, {262}}}},
    {"prefix blank",
     R"j({"pre_tokenizer":{"add_prefix_space":true}})j",
     {{"world", {264, 108, 100}, {264, 108, 100}},
      {"", {}, {}},
      {" world", {264, 108, 100}, {264, 108, 100}},
      {"\302\240world", {32, 194, 160, 119, 263, 108, 100}, {32, 194, 160, 119, 263, 108, 100}}}},
    {"no regular expression",
     R"j({"pre_tokenizer":{"use_regex":false}})j",
     {{"hello world  aaaa", {260, 264, 108, 100, 265, 262}, {260, 264, 108, 100, 265, 262}}}},
    {"added tokens: longest of the leftmost",
     R"j({"added_tokens":[{"id":269,"content":"ab","normalized":false,"special":false},{"id":270,)j"
     R"j("content":"abc","normalized":false,"special":false},{"id":271,"content":"<x>","normalized":false,)j"
     R"j("special":true}]})j",
     {{"zabcab<x>ab", {122, 270, 269, 271, 269}, {122, 270, 269, 271, 269}},
      {"abab c", {269, 269, 32, 99}, {269, 269, 32, 99}}}},
    {"added tokens with a prefix blank each",
     R"j({"added_tokens":[{"id":269,"content":"<x>","normalized":false,"special":true}],)j"
     R"j("pre_tokenizer":{"add_prefix_space":true}})j",
     {{"w<x>w<x> w", {261, 269, 261, 269, 261}, {261, 269, 261, 269, 261}}}},
    {"lstrip and rstrip",
     R"j({"added_tokens":[{"id":269,"content":"<l>","lstrip":true,"normalized":false,"special":false},)j"
     R"j({"id":270,"content":"<r>","rstrip":true,"normalized":false,"special":false}]})j",
     {{"a \343\200\200<l> b", {97, 269, 32, 98}, {97, 269, 32, 98}},
      {"a <r> \012 b", {97, 32, 270, 98}, {97, 32, 270, 98}},
      {"a <r>  <l> b", {97, 32, 270, 269, 32, 98}, {97, 32, 270, 269, 32, 98}}}},
    {"single_word",
     R"j({"added_tokens":[{"id":269,"content":"wor","single_word":true,"normalized":false,"special":false}]})j",
     {{"wor world \303\251wor wor_ (wor)",
       {269, 264, 108, 100, 32, 267, 119, 263, 264, 95, 32, 40, 269, 41},
       {269, 264, 108, 100, 32, 267, 119, 263, 264, 95, 32, 40, 269, 41}},
      {"word wor", {119, 263, 100, 32, 269}, {119, 263, 100, 32, 269}}}},
    {"added tokens in the normalised text",
     R"j({"normalizer":{"type":"NFC"},"added_tokens":[{"id":269,"content":"e\u0301x","normalized":true,)j"
     R"j("special":false},{"id":270,"content":"e\u0301y","normalized":false,"special":false}]})j",
     {{"\303\251x e\314\201x \303\251y e\314\201y",
       {269, 32, 269, 32, 267, 121, 32, 270},
       {269, 32, 269, 32, 267, 121, 32, 270}},
      {"A\314\212", {195, 133}, {195, 133}}}},
    {"Sequence of normalizers",
     R"j({"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"}]}})j",
     {{"e\314\201", {267}, {267}}}},
    {"template",
     R"j({"added_tokens":[{"id":269,"content":"<cls>","normalized":false,"special":true},{"id":270,)j"
     R"j("content":"<s>","normalized":false,"special":true}],"post_processor":{"type":"TemplateProcessing",)j"
     R"j("single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<cls>"}}],)j"
     R"j("special_tokens":{"<s>":{"id":"<s>","ids":[270],"tokens":["<s>"]},"<cls>":{"id":"<cls>","ids":[269],)j"
     R"j("tokens":["<cls>"]}}}})j",
     {{"hello", {270, 260, 269}, {260}}, {"", {270, 269}, {}}}},
    {"Sequence of processors",
     R"j({"added_tokens":[{"id":269,"content":"<cls>","normalized":false,"special":true},{"id":270,)j"
     R"j("content":"<s>","normalized":false,"special":true}],"post_processor":{"type":"Sequence",)j"
     R"j("processors":[{"type":"ByteLevel","add_prefix_space":true,"use_regex":true},)j"
     R"j({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},)j"
     R"j({"SpecialToken":{"id":"<cls>"}}],"special_tokens":{"<s>":{"id":"<s>","ids":[270],"tokens":["<s>"]},)j"
     R"j("<cls>":{"id":"<cls>","ids":[269],"tokens":["<cls>"]}}}]}})j",
     {{"hello", {270, 260, 269}, {260}}}},
    {"truncation on the right",
     R"j({"added_tokens":[{"id":269,"content":"<cls>","normalized":false,"special":true},{"id":270,)j"
     R"j("content":"<s>","normalized":false,"special":true}],"post_processor":{"type":"TemplateProcessing",)j"
     R"j("single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<cls>"}}],)j"
     R"j("special_tokens":{"<s>":{"id":"<s>","ids":[270],"tokens":["<s>"]},"<cls>":{"id":"<cls>","ids":[269],)j"
     R"j("tokens":["<cls>"]}}},"truncation":{"direction":"Right","max_length":4,"strategy":"LongestFirst"}})j",
     {{"b c d e", {270, 98, 32, 269}, {98, 32, 99, 32}}, {"b", {270, 98, 269}, {98}}}},
    {"truncation on the left",
     R"j({"added_tokens":[{"id":269,"content":"<cls>","normalized":false,"special":true},{"id":270,)j"
     R"j("content":"<s>","normalized":false,"special":true}],"post_processor":{"type":"TemplateProcessing",)j"
     R"j("single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"<cls>"}}],)j"
     R"j("special_tokens":{"<s>":{"id":"<s>","ids":[270],"tokens":["<s>"]},"<cls>":{"id":"<cls>","ids":[269],)j"
     R"j("tokens":["<cls>"]}}},"truncation":{"direction":"Left","max_length":4,"strategy":"OnlyFirst"}})j",
     {{"bcdef", {270, 101, 102, 269}, {99, 100, 101, 102}}}},
    {"Split with a regular expression",
     R"j({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split",)j"
     R"j("pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N})j"
     R"j({1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated",)j"
     R"j("invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]}})j",
     {{"Hello's wor12345\015\012\012  12 (x) \343\200\200y",
       {72, 101, 258, 111, 39, 115, 264, 266, 51, 52,  53,  13,  10,
        10, 32,  32,  266, 32, 40,  120, 41,  32, 227, 128, 128, 121},
       {72, 101, 258, 111, 39, 115, 264, 266, 51, 52,  53,  13,  10,
        10, 32,  32,  266, 32, 40,  120, 41,  32, 227, 128, 128, 121}},
      {"CAN'T \331\240\331\241\331\242\331\243 \034\302\205z",
       {67, 65, 78, 39, 84, 32, 217, 160, 217, 161, 217, 162, 217, 163, 32, 28, 194, 133, 122},
       {67, 65, 78, 39, 84, 32, 217, 160, 217, 161, 217, 162, 217, 163, 32, 28, 194, 133, 122}}}},
    {"Split, Removed",
     R"j({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"String":", "},)j"
     R"j("behavior":"Removed","invert":false},{"type":"ByteLevel","add_prefix_space":false,)j"
     R"j("use_regex":true}]}})j",
     {{"a, b,c, , wor", {97, 98, 44, 99, 119, 263}, {97, 98, 44, 99, 119, 263}}}},
    {"Split, Removed and inverted",
     R"j({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split",)j"
     R"j("pattern":{"Regex":"[a-z]+| wor"},"behavior":"Removed","invert":true},{"type":"ByteLevel",)j"
     R"j("add_prefix_space":false,"use_regex":false}]}})j",
     {{"ab1cd wor 22", {97, 98, 99, 100, 264}, {97, 98, 99, 100, 264}}}},
    {"Split on an empty match",
     R"j({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?=l)"},)j"
     R"j("behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,)j"
     R"j("use_regex":false}]}})j",
     {{"hello", {257, 108, 108, 111}, {257, 108, 108, 111}}}},
    {"unknown bytes are dropped",
     R"j({"model":{"vocab":{"Q":null}}})j",
     {{"aQQb Qa", {97, 98, 32, 97}, {97, 98, 32, 97}}}},
    {"unknown bytes give unk_token",
     R"j({"model":{"vocab":{"Q":null,"<unk>":269},"unk_token":"<unk>"}})j",
     {{"aQQb QaQ", {97, 269, 269, 98, 32, 269, 97, 269}, {97, 269, 269, 98, 32, 269, 97, 269}}}},
    {"unknown bytes are fused",
     R"j({"model":{"vocab":{"Q":null,"<unk>":269},"unk_token":"<unk>","fuse_unk":true}})j",
     {{"aQQb QaQ", {97, 269, 98, 32, 269, 97, 269}, {97, 269, 98, 32, 269, 97, 269}}}},
};

TEST_SUITE("text/tokenizer") {
  TEST_CASE("the tiny models' tokenizer gives the recorded ids, with cleaning and <cls>") {
    SKIP_WITHOUT_SHARED("models/tiny/tokenizer_examples.json");
    const auto tiny = tokenizer::load(*shared("models/tiny/tokenizer.json"));
    const auto examples = alphaform::read_json(*shared("models/tiny/tokenizer_examples.json"));
    const auto handling = alphaform::read_json(*shared("models/tiny/mamba/config.json"))["token_handling"];
    REQUIRE(examples["dev"].size() == 32);
    REQUIRE(examples["mixed"].size() == 8);
    for (const json& one : examples["dev"]) {
      CHECK(ids_of(tiny.encode(alphaform::clean(one[0].get<std::string>(), handling))) == one[2].get<ids>());
    }
    for (const json& one : examples["mixed"]) {
      const auto text = alphaform::clean(one[0].get<std::string>(), handling);
      CHECK(text == one[1].get<std::string>());
      CHECK(ids_of(tiny.encode(text)) == one[2].get<ids>());
    }
    CHECK(tiny.vocabulary_size() == 4096);
    CHECK(tiny.max_tokens() == 128);
    CHECK(joined(tiny.encode("a great film")) == " a| great| film|<cls>");
    CHECK(tiny.encode("x").back().special);
    CHECK_FALSE(tiny.encode("x").front().special);
    alphaform::check_token_handling(handling, tiny);
    for (const auto& [key, value] :
         {std::pair{"max_text_tokens", json(128)}, {"append", "<pad>"}, {"cls_token_id", 3}}) {
      json other = handling;
      other[key] = value;
      check_refused([&] { alphaform::check_token_handling(other, tiny); }, {"config.json", "the tokenizer"});
    }
  }

  TEST_CASE("GPT-NeoX's tokenizer gives the ids of two other implementations on all 200 strings") {
    SKIP_WITHOUT_SHARED("tokenizers/tokenizer_reference.json");
    const auto neox = tokenizer::load(*shared("tokenizers/20B_tokenizer.json"));
    const auto strings = alphaform::read_json(*shared("tokenizers/tokenizer_reference.json"))["strings"];
    REQUIRE(strings.size() == 200);
    for (const json& one : strings) {
      INFO("text: ", one["text"].dump());
      CHECK(ids_of(neox.encode(one["text"].get<std::string>())) == one["gpt_neox_20b"].get<ids>());
    }
    CHECK(neox.vocabulary_size() == 50277);
  }

  TEST_CASE("the ids of every option are those of tokenizers 0.23.3") {
    const temporary_folder folder;
    for (const option& one : options) {
      INFO("option: ", one.name);
      const auto small = patched(folder, one.patch);
      for (const example& each : one.examples) {
        INFO("text: ", each.text);
        CHECK(ids_of(small.encode(each.text)) == each.with_special);
        CHECK(ids_of(small.encode(each.text, false)) == each.without_special);
      }
    }
  }

  TEST_CASE("merges as strings mean the same as merges as pairs") {
    const temporary_folder folder;
    json all = small_tokenizer();
    json strings = {"#version: 0.2"};
    for (const json& pair : all["model"]["merges"])
      strings.push_back(pair[0].get<std::string>() + " " + pair[1].get<std::string>());
    all["model"]["merges"] = strings;
    const auto small = tokenizer::load(folder.write("tokenizer.json", all.dump()));
    CHECK(ids_of(small.encode("hello world aaaaa")) == ids{260, 264, 108, 100, 32, 262, 97});
  }

  TEST_CASE("the words of GPT-2's pattern") {
    // By hand from the pattern: the last blank goes with the word after it, contractions only in lower case, \s is
    // White_Space.
    using words = std::vector<std::string_view>;
    CHECK(alphaform::gpt2_words("it's 12.5 we'LL'd  x \n\n y  ") ==
          words{"it", "'s", " 12", ".", "5", " we", "'", "LL", "'d", " ", " x", " \n\n", " y", "  "});
    CHECK(alphaform::gpt2_words("\xC3\xA9t\xC3\xA9\xE2\x85\xA7\xE3\x80\x80z\x1C") ==
          words{"\xC3\xA9t\xC3\xA9", "\xE2\x85\xA7", "\xE3\x80\x80", "z", "\x1C"});
    CHECK(alphaform::gpt2_words("").empty());
  }

  TEST_CASE("pieces show the text of each token, and bytes inside a character as escapes") {
    const temporary_folder folder;
    const auto small = patched(folder, R"({"added_tokens":[{"id":269,"content":"<x>","special":true}]})");
    const auto tokens = small.encode("h\xC3\xA9llo\xE2\x82\xAC<x>");
    CHECK(joined(tokens) == "h|\xC3\xA9|ll|o|\\xE2|\\x82|\\xAC|<x>");
    CHECK(tokens.back().special);
    CHECK(small.vocabulary_size() == 270);
    const ids some{264, 269};
    CHECK(joined(small.describe(some)) == " wor|<x>");
    for (const std::int64_t wrong : {std::int64_t{270}, std::int64_t{-1}}) {
      const ids list{wrong};
      check_refused([&] { small.describe(list); }, {"token id " + std::to_string(wrong), "0 to 269"});
    }
  }

  TEST_CASE("the byte tokenizer gives each byte its value") {
    const auto bytes = tokenizer::bytes();
    CHECK(ids_of(bytes.encode("A\xC3\xA9")) == ids{65, 195, 169});
    CHECK(joined(bytes.encode("A\xC3\xA9")) == "A|\\xC3|\\xA9");
    CHECK(bytes.vocabulary_size() == 256);
    const ids beyond{256};
    CHECK(joined(tokenizer::bytes(260).describe(beyond)) == "[256]");
    check_refused([&] { bytes.describe(beyond); }, {"256", "0 to 255"});
    check_refused([] { tokenizer::bytes(255); }, {"255"});
  }

  TEST_CASE("text that is not UTF-8 is refused") {
    const auto bytes = tokenizer::bytes();
    for (const char* text : {"\xFF", "a\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                             "\xF8\x88\x80\x80"}) {
      check_refused([&] { bytes.encode(text); }, {"not valid UTF-8 at byte"});
    }
    CHECK(bytes.encode("\xF4\x8F\xBF\xBF").size() == 4);
  }

  TEST_CASE("one long word becomes its tokens") {
    const temporary_folder folder;
    CHECK(patched(folder, "{}").encode(std::string(400'000, 'a')).size() == 100'000);
  }

  TEST_CASE("cleaning replaces, then makes ASCII letters lower case") {
    const json handling = {{"replace", {{"<br />", " "}, {"&", "and"}}}, {"lowercase", "ASCII letters"}};
    CHECK(alphaform::clean("A<br /><br />B & \xC3\x89<BR />", handling) == "a  b and \xC3\x89<br />");
    CHECK(alphaform::clean("As It Is", json()) == "As It Is");
    check_refused([] { alphaform::clean("", {{"lowercase", "Unicode"}}); }, {"'lowercase'", "ASCII letters"});
    check_refused([] { alphaform::clean("", {{"replace", {{"", "x"}}}}); }, {"'replace'", "empty"});
    check_refused([] { alphaform::clean("", {{"replace", 3}}); }, {"'replace'"});
    check_refused([] { alphaform::clean("", json::array()); }, {"token_handling", "array"});
  }

  TEST_CASE("what is not supported or malformed is refused with the reason") {
    const temporary_folder folder;
    const auto refused = [&](const std::string& patch, std::initializer_list<std::string_view> words) {
      INFO("patch: ", patch);
      check_refused([&] { patched(folder, patch); }, words);
    };
    refused(R"({"normalizer":{"type":"Lowercase"}})", {"tokenizer.json'", "normalizer 'Lowercase' is not supported"});
    refused(R"({"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"}]}})", {"normalizer 'NFKC'"});
    refused(R"({"pre_tokenizer":null})", {"'pre_tokenizer' is missing"});
    refused(R"({"pre_tokenizer":{"type":"Metaspace"}})", {"pre-tokenizer 'Metaspace' is not supported"});
    refused(R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a"},"behavior":"Isolated"}})",
            {"does not end with ByteLevel"});
    refused(R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a"},"behavior":"Isolated"}})",
            {"cannot compile", "'(a'"});
    refused(R"({"pre_tokenizer":{"type":"Split","pattern":{"Regex":"a"},"behavior":"Contiguous"}})",
            {"behavior 'Contiguous'"});
    refused(R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"ByteLevel"}]}})",
            {"step after ByteLevel"});
    refused(R"({"post_processor":{"type":"BertProcessing"}})", {"post-processor 'BertProcessing' is not supported"});
    refused(R"({"post_processor":{"type":"TemplateProcessing","single":[],"special_tokens":{}}})", {"0 times"});
    refused(R"({"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B"}}]}})", {"other than A"});
    refused(R"({"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"q"}}],)"
            R"("special_tokens":{}}})",
            {"'q'", "not in special_tokens"});
    refused(R"({"post_processor":{"type":"TemplateProcessing",)"
            R"("single":[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"q"}}],)"
            R"("special_tokens":{"q":{"ids":[999]}}}})",
            {"999", "no token"});
    refused(R"({"truncation":{"max_length":4,"strategy":"OnlySecond"}})", {"strategy 'OnlySecond'"});
    refused(R"({"truncation":{"max_length":-4,"strategy":"OnlyFirst"}})", {"'max_length'", "-4"});
    refused(R"({"truncation":{"max_length":4,"strategy":"OnlyFirst","direction":"Up"}})", {"direction 'Up'"});
    refused(R"({"truncation":{"max_length":0,"strategy":"OnlyFirst"},"post_processor":{"type":"TemplateProcessing",)"
            R"("single":[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"a"}}],"special_tokens":{"a":{"ids":[97]}}}})",
            {"keeps 0 tokens"});
    refused(R"({"padding":{"strategy":{"Fixed":8}}})", {"padding"});
    refused(R"({"model":null})", {"'model' is missing"});
    refused(R"({"model":{"type":"Unigram"}})", {"type 'Unigram'", "only byte-level BPE"});
    refused(R"({"model":{"dropout":0.1}})", {"dropout"});
    refused(R"({"model":{"byte_fallback":true}})", {"byte_fallback"});
    refused(R"({"model":{"byte_fallback":1}})", {"byte_fallback", "true or false"});
    refused(R"({"model":{"end_of_word_suffix":"</w>"}})", {"end_of_word_suffix"});
    refused(R"({"model":{"unk_token":"<unk>"}})", {"unk_token '<unk>' is not in the vocabulary"});
    refused(R"({"model":{"vocab":[]}})", {"vocab must be a JSON object"});
    refused(R"({"model":{"vocab":{"hey":-1}}})", {"'hey'", "-1"});
    refused(R"({"model":{"vocab":{"hey":97}}})", {"the id 97", "twice"});
    refused(R"({"model":{"vocab":{"hey":4294967296}}})", {"4294967296", "larger"});
    refused(R"({"model":{"merges":[["a","zz"]]}})", {"'zz'", "not in the vocabulary"});
    refused(R"({"model":{"merges":[["h","h"]]}})", {"'hh'", "not in the vocabulary"});
    for (const char* wrong : {R"("ab")", R"("a b c")", R"(["a"])", "3"}) {
      refused(std::string(R"({"model":{"merges":[)") + wrong + "]}}", {"each of its merges"});
    }
    refused(R"({"added_tokens":[{"id":269}]})", {"'content' is missing"});
    refused(R"({"added_tokens":[{"id":269,"content":""}]})", {"added token is empty"});
    refused(R"({"added_tokens":[{"id":97,"content":"<x>"}]})", {"'<x>'", "97", "another entry"});
    refused(R"({"added_tokens":[{"id":300,"content":"hey"}]})", {"'hey'", "is 268 elsewhere"});
    refused(R"({"added_tokens":[{"id":99999999,"content":"<x>"}]})", {"too large"});
    check_refused([&] { tokenizer::load(folder.write("t.json", "[]")); }, {"t.json", "array"});
    check_refused([&] { tokenizer::load(folder.write("t.json", "{")); }, {"t.json", "not valid JSON"});
    check_refused([&] { tokenizer::load(folder.write("t.json", R"({"model":{"vocab":{"a":1,"a":2}}})")); },
                  {"'a' occurs twice"});
    check_refused([&] { tokenizer::load(folder.path() / "none.json"); }, {"none.json", "No such file"});
    check_refused([&] { tokenizer::load(folder.path()); }, {"not a regular file"});
  }

  TEST_CASE("a pattern that takes exponential time is given up") {
    const temporary_folder folder;
    const auto slow =
        patched(folder, R"({"pre_tokenizer":{"type":"Sequence","pretokenizers":[)"
                        R"({"type":"Split","pattern":{"Regex":"(a*)*(a*)*(a*)*b"},"behavior":"Isolated"},)"
                        R"({"type":"ByteLevel","add_prefix_space":false}]}})");
    check_refused([&] { slow.encode(std::string(60, 'a') + "c"); }, {"ICU gave up", "too slow"});
  }

  TEST_CASE("damaged files are refused or valid, never anything else") {
    const temporary_folder folder;
    const std::string valid =
        R"({"added_tokens":[{"id":5,"content":"<x>","special":true,"lstrip":true}],)"
        R"("normalizer":{"type":"NFC"},"truncation":)"
        R"({"max_length":9,"strategy":"LongestFirst"},"pre_tokenizer":{"type":"Sequence",)"
        R"("pretokenizers":[{"type":"Split",)"
        R"("pattern":{"Regex":"\\s+"},"behavior":"Isolated"},{"type":"ByteLevel"}]},"post_processor":{"type":)"
        R"("TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"SpecialToken":{"id":"x"}}],)"
        R"("special_tokens":{"x":{"ids":[5]}}},)"
        R"("model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"bab":3,"c":4},"merges":["a b",["b","ab"]]}})";
    const int refused = mutate(valid, 4000, [&](const std::string& image) {
      tokenizer::load(folder.write("t.json", image)).encode("bab <x> cab\xC3\xA9");
    });
    CHECK(refused > 2000);
    CHECK(refused < 4000);
  }
}

}  // namespace
