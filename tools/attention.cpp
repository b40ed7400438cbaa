#include <fmt/core.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/images/image_input.hpp>
#include <alphaform/backends/model/model.hpp>
#include <alphaform/explain/output/atomic_file.hpp>
#include <alphaform/explain/output/json.hpp>
#include <alphaform/explain/output/npy.hpp>
#include <alphaform/explain/output/npz.hpp>
#include <alphaform/explain/output/png.hpp>
#include <alphaform/tools/command.hpp>
#include <alphaform/tools/device.hpp>
#include <alphaform/tools/input.hpp>
#include <alphaform/tools/plan.hpp>
#include <charconv>
#include <cmath>

namespace alphaform::tools {

namespace {

struct attention_options final {
  std::string model;
  std::optional<std::string> text, ids, image, row, output;
  std::size_t index = 0, layer = 0;
  std::optional<std::size_t> channel;
  std::string reduce = "mean";
  std::optional<std::string> most_memory;
  bool plan = false;
};

constexpr std::string_view what_is_mapped =
    "exact H of the derivation, skip included: from the value path's input (after its input projection) to the mixer's "
    "output "
    "before its output projection; entry (i, j) is the influence of token j on token i";

std::optional<std::size_t> row_of(const attention_options& o, std::size_t tokens) {
  if (!o.row) return std::nullopt;
  if (*o.row == "last") return tokens - 1;
  std::size_t i = 0;
  const char* const end = o.row->data() + o.row->size();
  if (const auto [at, failed] = std::from_chars(o.row->data(), end, i); failed != std::errc{} || at != end)
    throw user_error(fmt::format("--row takes a token's number or 'last'; '{}' is neither", *o.row));
  if (i >= tokens) throw user_error(fmt::format("row {} was asked for, but there are tokens 0 to {}", i, tokens - 1));
  return i;
}

reduction reduction_of(std::string_view name) {
  const auto found = std::find(reduction_names.begin(), reduction_names.end(), name);
  return static_cast<reduction>(found - reduction_names.begin());
}

query query_of(const attention_options& o, std::optional<std::size_t> row) {
  using kind = query::kind;
  const reduction over = reduction_of(o.reduce);
  if (o.channel) return {row ? kind::row : kind::matrix, row ? *row : *o.channel, over};
  return {row ? kind::reduced_row : kind::reduced_matrix, row.value_or(0), over};
}

/// The numbers asked for, row-major, and how many rows they have.
struct answer final {
  std::vector<float> values;
  std::size_t rows = 1, columns = 0;
};

answer ask(implicit_attention<float>& a, const attention_options& o, std::optional<std::size_t> row) {
  const std::size_t tokens = a.tokens();
  const reduction over = reduction_of(o.reduce);
  answer r{{}, row ? 1 : tokens, tokens};
  if (row && o.channel) {
    const std::vector<float> all = numbers_of(a.row(*row));
    for (std::size_t s = 0; s < tokens; ++s) r.values.push_back(all[s * a.channels() + *o.channel]);
    return r;
  }
  r.values = numbers_of(row ? a.reduced_row(*row, over) : o.channel ? a.matrix(*o.channel) : a.reduced_matrix(over));
  return r;
}

void needs_numbers(const answer& r) {
  for (const float v : r.values)
    if (!std::isfinite(v))
      throw user_error("the map holds values that are not finite numbers: the model's weights cannot be right");
}

/// What a model looked at, as its tokens are shown.
struct seen final {
  forward_pass<float> pass;
  nlohmann::json tokens = nlohmann::json::array();  ///< as JSON output has them
  std::vector<std::string> names;                   ///< one a token
  std::vector<std::int64_t> ids;                    ///< of a text
};

seen text_seen(const checkpoint& file, const model<float>& m, const attention_options& o, const extent_of_run& extent) {
  const std::vector<token> tokens = tokens_of(file, m.vocabulary(), o.text, o.ids);
  seen s;
  s.ids = ids_of(tokens);
  s.pass = m.run(s.ids, extent);
  for (const token& t : tokens) {
    s.tokens.push_back({{"id", t.id}, {"piece", t.piece}});
    s.names.push_back(quote(t.piece));
  }
  return s;
}

seen image_seen(const checkpoint& file, const model<float>& m, const attention_options& o,
                const extent_of_run& extent) {
  const image_input as = image_input_of(file, m.features());
  const std::vector<float> values = values_of(as, read_images(*o.image), o.index);
  seen s;
  s.pass = m.run(stream_of(std::span(values), values.size() / as.features(), as.features(), m.backend()), extent);
  const std::size_t tokens = s.pass.mixer_in.front().v.of(axis::token);
  const std::optional<std::size_t> class_token = m.class_token(tokens);
  std::size_t patch = 0;
  for (std::size_t t = 0; t < tokens; ++t) {
    if (t == class_token) {
      s.tokens.push_back({{"class_token", true}});
      s.names.push_back("class token");
      continue;
    }
    const std::size_t row = patch / as.columns(), column = patch % as.columns();
    s.tokens.push_back({{"row", row}, {"column", column}});
    s.names.push_back(fmt::format("patch {}, {}", row, column));
    ++patch;
  }
  return s;
}

seen look(const checkpoint& file, const model<float>& m, const attention_options& o) {
  const extent_of_run extent{extent_of_run::logits::none, o.layer + 1};
  if (!o.image) return text_seen(file, m, o, extent);
  if (o.text || o.ids) throw user_error("give one of --text, --ids and --image, so that it is clear what to look at");
  return image_seen(file, m, o, extent);
}

nlohmann::json as_json(const attention_options& o, const model<float>& m, const seen& s, const answer& r,
                       std::optional<std::size_t> row) {
  nlohmann::json j{{"model_type", m.of().model_type},
                   {"architecture", m.mixer_architecture(o.layer).name},
                   {"layer", o.layer},
                   {"map", what_is_mapped},
                   {"device", m.backend().name},
                   {"tokens", s.tokens}};
  if (o.channel)
    j["channel"] = *o.channel;
  else
    j["reduce"] = o.reduce;
  if (row) j["row"] = *row;
  if (row) {
    j["values"] = r.values;
  } else {
    for (std::size_t i = 0; i < r.rows; ++i)
      j["values"].push_back(std::vector<float>(r.values.begin() + static_cast<std::ptrdiff_t>(i * r.columns),
                                               r.values.begin() + static_cast<std::ptrdiff_t>((i + 1) * r.columns)));
  }
  return j;
}

void print_row(const seen& of, const answer& r) {
  for (std::size_t s = 0; s < r.columns; ++s) fmt::print("{:>5}  {:>12.5e}  {}\n", s, r.values[s], of.names[s]);
}

int run(const attention_options& o) {
  const checkpoint file = checkpoint::open(o.model);
  const model<float> m(file, device());
  if (o.layer >= m.layers())
    throw user_error(fmt::format("layer {} was asked for, but the model has layers 0 to {}", o.layer, m.layers() - 1));
  const std::string end = o.output ? std::filesystem::path(*o.output).extension().string() : "";
  if (o.output && end != ".npz" && end != ".npy" && end != ".png" && end != ".json")
    throw user_error(
        fmt::format("cannot tell what to write from the name {}: it should end in .npz, .npy, .png or .json",
                    quote_path(*o.output)));
  const seen s = look(file, m, o);
  const std::optional<std::size_t> row = row_of(o, s.names.size());
  implicit_attention<float> a = m.attention(o.layer, s.pass.mixer_in[o.layer], s.pass.shared);
  if (o.channel && *o.channel >= a.channels())
    throw user_error(
        fmt::format("channel {} was asked for, but this layer has channels 0 to {}", *o.channel, a.channels() - 1));
  if (o.most_memory) a.use_at_most(bytes_of(*o.most_memory));
  if (o.plan) {
    const query_plan p = a.plan(query_of(o, row));
    if (end == ".json")
      write_file(*o.output, json_text(plan_json(p)));
    else
      fmt::print("{}", plan_text(p));
    return 0;
  }
  const answer r = ask(a, o, row);
  needs_numbers(r);
  const std::array<std::size_t, 2> shape{r.rows, r.columns};
  if (end == ".npy") write_file(*o.output, npy_bytes(r.values, shape));
  if (end == ".npz") {
    const std::array<std::size_t, 1> count{s.ids.size()};
    std::vector<named_array> arrays{{"attention", npy_bytes(r.values, shape)}};
    if (!o.image) arrays.push_back({"ids", npy_bytes(std::span<const std::int64_t>(s.ids), count)});
    write_file(*o.output, npz_bytes(arrays));
  }
  if (end == ".png") write_file(*o.output, heat_map_png(r.values, r.rows, r.columns));
  if (end == ".json") write_file(*o.output, json_text(as_json(o, m, s, r, row)));
  if (o.output)
    fmt::print("wrote {} ({} x {})\n", quote_path(*o.output), r.rows, r.columns);
  else if (row)
    print_row(s, r);
  else
    write_or_print({}, json_text(as_json(o, m, s, r, row)));
  return 0;
}

}  // namespace

subcommand add_attention(CLI::App& app) {
  static attention_options o;
  CLI::App* c = app.add_subcommand(
      "attention",
      "One layer's implicit attention on a text or an image: a map or a row, of a channel or reduced over all");
  c->add_option("model", o.model, "A checkpoint: file or folder")->required();
  c->add_option("--text", o.text, "The text");
  c->add_option("--ids", o.ids, "Token ids instead of a text, such as 34,105,110");
  CLI::Option* image =
      c->add_option("--image", o.image, "An image for a model of images: a PNG picture or an IDX file");
  c->add_option("--index", o.index, "Which image of an IDX file, from 0")->check(CLI::NonNegativeNumber)->needs(image);
  c->add_option("--layer", o.layer, "The layer, from 0")->required()->check(CLI::NonNegativeNumber);
  CLI::Option* channel =
      c->add_option("--channel", o.channel, "One channel's matrix, from 0")->check(CLI::NonNegativeNumber);
  c->add_option(
       "--reduce", o.reduce,
       "Over all channels: mean (the default), abs-mean, clamp (the mean of max(H, 0)) or max (the largest |H|)")
      ->check(CLI::IsMember(std::vector<std::string>(reduction_names.begin(), reduction_names.end())))
      ->excludes(channel);
  c->add_option("--row", o.row, "Only the row of this output token, or of the last one: 'last'");
  c->add_option("-o,--output", o.output, "File to write: .npz, .npy, .png or .json; the terminal otherwise");
  c->add_flag("--plan", o.plan,
              "Print steps, operations, bytes and peak memory instead of computing; with -o to a .json");
  c->add_option("--max-memory", o.most_memory,
                "The most that the query may take beyond weights and inputs, such as 200M; refused if it cannot");
  c->footer(
      "Example: alphaform attention models/sentiment --text \"a joy to watch\" --layer 1 --reduce abs-mean -o map.png\n"
      "         alphaform attention models/vim --image shirt.png --layer 1 --row 24");
  return {c, [] { return run(o); }};
}

}  // namespace alphaform::tools
