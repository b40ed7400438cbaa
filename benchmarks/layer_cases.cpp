#include <alphaform/benchmarks/layer_cases.hpp>

namespace alphaform::benchmarks {

namespace {

struct layer_query final {
  std::string_view name, what;
  bool once;  ///< nothing is there before: controls are part of the job
  void (*ask)(implicit_attention<float>&, const tensor<float>& x);
};
constexpr layer_query queries[] = {
    {"output", "y by the recurrence", true, [](implicit_attention<float>& h, const auto&) { h.output(); }},
    {"apply", "H x, controls that are kept whole evaluated before", false,
     [](implicit_attention<float>& h, const auto& x) { h.apply(x); }}};

/// A stream as long as y, which x need not be: value heads may share one x.
tensor<float> stream_of_values(const problem& p) {
  const implicit_attention<float> h = p.attention();
  std::vector<float> x(volume(h.stream()));
  fill(x, "", "x", 1, 1);
  return stored(x, h.stream(), backend(), format_of_inputs());
}

}  // namespace

std::vector<named_case> layer_cases(std::span<const layer_row> rows) {
  std::vector<named_case> all;
  for (const layer_row& r : rows)
    for (const layer_query& q : queries) {
      std::string name = std::string(r.group) + "/" + std::string(q.name);
      if (!r.suffix.empty()) name += "-" + std::string(r.suffix);
      all.push_back({std::move(name), std::string(q.what), [r, q](bool small) {
                       const problem_sizes sizes = small ? reduced(r.sizes) : r.sizes;
                       const auto p = r.declared != nullptr
                                          ? std::make_shared<problem>(*r.declared, r.architecture, sizes)
                                          : std::make_shared<problem>(r.architecture, sizes);
                       needs n = r.of(p->sizes());
                       n.bytes += p->stream_bytes();
                       return job{n, [q, p, h = p->bound(), x = stream_of_values(*p)] {
                                    q.once ? q.ask(*p->bound(), x) : q.ask(*h, x);
                                  }};
                     }});
    }
  return all;
}

}  // namespace alphaform::benchmarks
