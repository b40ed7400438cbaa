#include <alphaform/backends/engine/semiseparable.hpp>

namespace alphaform {

namespace {

void append(streams& list, const streams& more) { list.insert(list.end(), more.begin(), more.end()); }

/// The streams of Diags from factor `k` on, and the first factor behind them.
std::size_t diagonals(const workspace& g, const std::vector<node_index>& f, std::size_t k, streams& list) {
  for (; k < f.size() && g[f[k]].is<terms::diag>(); ++k) append(list, stream_factors_of(g, g[f[k]].a));
  return k;
}

/// Diag* Delay? Scan(Diag) Diag*, or an Unrolled, between Diags.
bool is_recurrence(const workspace& g, const std::vector<node_index>& f, unrolled_form& core) {
  std::size_t k = diagonals(g, f, 0, core.read);
  if (const auto u = unrolled_from(g, f, k)) {
    if (u->p) return false;
    core.bonus = u->bonus;
    append(core.read, u->read);
    append(core.write, u->write);
    core.decay = u->decay;
    core.exclusive = u->exclusive;
    k += u->factors;
  } else {
    if (k < f.size() && g[f[k]].is<terms::delay>()) {
      core.exclusive = true;
      ++k;
    }
    if (k == f.size() || !g[f[k]].is<terms::scan>() || !g[g[f[k]].a].is<terms::diag>()) return false;
    core.decay = stream_factors_of(g, g[g[f[k]].a].a);
    ++k;
  }
  return diagonals(g, f, k, core.write) == f.size();
}

/// No stream of the form has other axes than lanes and the state.
bool of_lanes_and_state(const workspace& g, const semiseparable& form) {
  const auto fit = [&g](const streams& list) {
    return std::all_of(list.begin(), list.end(),
                       [&g](node_index i) { return (group | head | chan | state).contains(g[i].to); });
  };
  return fit(form.core.decay) && fit(form.core.write) && fit(form.core.read) &&
         std::all_of(form.skip.begin(), form.skip.end(), fit);
}

}  // namespace

std::optional<semiseparable> as_semiseparable(const workspace& g, node_index p) {
  semiseparable form;
  std::vector<node_index> f = factors_of(g, p);
  if (const node& last = g[f.back()];
      last.is<terms::conv>() && is_filter(g[last.a]) && (group | head | chan | tap).contains(g[last.a].to)) {
    form.taps = last.a;
    f.pop_back();
  }
  streams left, right;
  const std::size_t begin = diagonals(g, f, 0, left);
  if (begin < f.size() && g[f[begin]].is<terms::sum>()) {
    if (diagonals(g, f, begin + 1, right) != f.size()) return std::nullopt;
    bool found = false;
    for (const node_index term : terms_of(g, f[begin])) {
      const std::vector<node_index> factors = factors_of(g, term);
      streams skip = left;
      if (diagonals(g, factors, 0, skip) == factors.size()) {
        append(skip, right);
        form.skip.push_back(skip);
      } else if (found || !is_recurrence(g, factors, form.core)) {
        return std::nullopt;
      } else {
        found = true;
      }
    }
    if (!found) return std::nullopt;
    append(form.core.read, left);
    append(form.core.write, right);
  } else if (!is_recurrence(g, f, form.core)) {
    return std::nullopt;
  }
  return of_lanes_and_state(g, form) ? std::optional(form) : std::nullopt;
}

namespace {

/// Channels that are handed to the kernel at once: their streams, over all tokens, are small beside the map.
constexpr std::size_t usual_channels = 256;

template <class T>
void add_window(engine<T>& e, const semiseparable& form, const window& w, std::size_t channels, T weight,
                over_channels over, view<T> map) {
  const typename remembered_by_all<T>::query asked(e.remembered());
  evaluation<T> here(e, e.run(), nullptr);
  std::vector<tensor<T>> keep;
  channel_matrices<T> m;
  m.core = here.controls(form.core, w, keep);
  std::optional<tensor<T>> all;
  const auto add = [&](const tensor<T>& own) {
    if (!all) return all = own, void();
    const tensor<T> sum = here.memory().make(together(all->v.size, own.v.size));
    e.run().plus(*all, own, sum);
    all = sum;
  };
  for (const streams& term : form.skip) add(here.product(term, w));
  for (const streams& bonus : form.core.bonus) add(here.read_bonus(form.core, bonus, w));
  const tensor<T> skip = all ? *all : here.memory().filled(single, 0);
  all.reset();
  m.skip = skip;
  if (form.taps != absent) m.taps = w.lanes_of(stream_parameter(e.env(), e.graph()[form.taps]));
  // Where nothing tells the channels apart, one stands for all.
  bool apart = m.skip.of(axis::chan) != 1 || m.taps.of(axis::chan) != 1;
  for (const factored<T>& f : {m.core.decay, m.core.write, m.core.read})
    apart = apart || f.u.of(axis::chan) != 1 || f.v.of(axis::chan) != 1;
  const bool sums = over != over_channels::maximum;
  const tensor<T> each = here.memory().filled(single, sums && !apart ? weight * static_cast<T>(channels) : weight);
  m.weight = each;
  here.next_window();  // streams that only led to others
  e.run().channel_map(m, over, map);
  e.memory().held_beside(here.memory().count().peak);
}

}  // namespace

template <class T>
void add_over_channels(engine<T>& e, const semiseparable& form, const extents& stream, T weight, over_channels over,
                       view<T> map) {
  const std::size_t channels_at_once = e.run().has_own_memory ? at(stream, axis::chan) : usual_channels;
  for (std::size_t g = 0; g < at(stream, axis::group); ++g)
    for (std::size_t h = 0; h < at(stream, axis::head); ++h)
      for (std::size_t c = 0; c < at(stream, axis::chan); c += channels_at_once) {
        const std::size_t end = std::min(c + channels_at_once, at(stream, axis::chan));
        const window w = e.everything()
                             .with_lanes(axis::group, g, g + 1)
                             .with_lanes(axis::head, h, h + 1)
                             .with_lanes(axis::chan, c, end);
        add_window(e, form, w, end - c, weight, over, map);
      }
}

template void add_over_channels(engine<float>&, const semiseparable&, const extents&, float, over_channels,
                                view<float>);
template void add_over_channels(engine<double>&, const semiseparable&, const extents&, double, over_channels,
                                view<double>);

}  // namespace alphaform
