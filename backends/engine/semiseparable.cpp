// Rows are taken in blocks. At the start of a block, K[s, c, n] is what input s has left in state n of channel c;
// within the block Q[t, c, n] is what the state at its start adds to output t. All decays are products from the block's
// boundary outward, so every factor is at most 1 and nothing is ever divided. The block's own columns come from running
// the operator on unit columns.
#include <alphaform/backends/engine/semiseparable.hpp>

namespace alphaform {

namespace {

/// All factors are Diags: appends their streams and returns true.
bool diagonals(const workspace& g, const std::vector<node_index>& factors, std::size_t begin, std::size_t end,
               std::vector<node_index>& streams) {
  for (std::size_t k = begin; k < end; ++k) {
    if (!g[factors[k]].is<terms::diag>()) return false;
    streams.push_back(g[factors[k]].a);
  }
  return true;
}

/// Contract? Diag* Delay? Scan(Diag) Diag* Expand?
bool recurrence(const workspace& g, node_index p, semiseparable& form) {
  std::vector<node_index> f = factors_of(g, p);
  std::size_t scan = 0;
  while (scan < f.size() && !g[f[scan]].is<terms::scan>()) ++scan;
  if (scan == f.size() || form.decay != absent || !g[g[f[scan]].a].is<terms::diag>()) return false;
  form.decay = g[g[f[scan]].a].a;
  std::size_t begin = 0, read_end = scan, end = f.size();
  if (g[f[0]].is<terms::contract>()) {
    if (g[f[0]].from != state || !g[f[end - 1]].is<terms::expand>() || g[f[end - 1]].to != state) return false;
    ++begin;
    --end;
  }
  if (read_end > begin && g[f[read_end - 1]].is<terms::delay>()) {
    form.exclusive = true;
    --read_end;
  }
  return diagonals(g, f, begin, read_end, form.read) && diagonals(g, f, scan + 1, end, form.write);
}

/// No stream of the form has another axis than channels and states.
bool of_channels_and_states(const workspace& g, const semiseparable& form) {
  const auto fits = [&g](node_index i) { return (chan | state).contains(g[i].to); };
  const auto all_fit = [&fits](const std::vector<node_index>& list) {
    return std::all_of(list.begin(), list.end(), fits);
  };
  return fits(form.decay) && all_fit(form.left) && all_fit(form.right) && all_fit(form.read) && all_fit(form.write) &&
         std::all_of(form.skip.begin(), form.skip.end(), all_fit);
}

}  // namespace

std::optional<semiseparable> as_semiseparable(const workspace& g, node_index p) {
  semiseparable form;
  const std::vector<node_index> f = factors_of(g, p);
  const auto is_diag = [&](std::size_t k) { return g[f[k]].is<terms::diag>(); };
  // The core is one sum, or the five factors of an Unrolled among the others.
  std::size_t begin = 0;
  while (begin < f.size() && is_diag(begin)) ++begin;
  std::size_t end = f.size();
  if (end > begin && g[f[end - 1]].is<terms::conv>() && g[g[f[end - 1]].a].is<terms::parameter>() &&
      g[g[f[end - 1]].a].to == (chan | tap)) {
    form.taps = g[f[end - 1]].a;
    --end;
  }
  if (begin == end) return std::nullopt;
  std::size_t core_end = begin + 1;
  if (g[f[begin]].is<terms::sum>()) {
    for (const node_index term : terms_of(g, f[begin])) {
      std::vector<node_index> streams;
      const std::vector<node_index> factors = factors_of(g, term);
      if (diagonals(g, factors, 0, factors.size(), streams)) {
        form.skip.push_back(streams);
      } else if (!recurrence(g, term, form)) {
        return std::nullopt;
      }
    }
  } else if (const auto u = as_unrolled(g, f, begin)) {
    form.decay = u->decay;
    form.write = {u->write};
    form.read = {u->read};
    core_end = begin + 5;
  }
  if (form.decay == absent || core_end > end) return std::nullopt;
  if (!diagonals(g, f, 0, begin, form.left) || !diagonals(g, f, core_end, end, form.right)) return std::nullopt;
  return of_channels_and_states(g, form) ? std::optional(form) : std::nullopt;
}

namespace {

/// Everything that one block of rows needs, for one window of channels.
template <class T>
class block_sum final {
 public:
  block_sum(engine<T>& e, const semiseparable& f, std::size_t channel_begin, std::size_t channel_end)
      : e_(e), f_(f), begin_(channel_begin), end_(channel_end) {
    states_ = std::max(at(e.sizes().of(f.decay), axis::state), size_of_state(f.write));
    taps_ = f.taps == absent ? 1 : stream_parameter(e.env(), e.graph()[f.taps]).of(axis::tap);
    past_ = e.memory().filled(controls(e.tokens()), 0);
  }

  void add(T weight, bool absolute, view<T> map) {
    for (std::size_t t = 0; t < e_.tokens(); t += token_block) {
      const window w{t, std::min(t + token_block, e_.tokens()), begin_, end_};
      const tensor<T> own = own_columns(w);           // [L, C, column L + taps - 1]
      const tensor<T> decays = decays_from_start(w);  // [L, C, N], product up to and with token t
      if (w.token_begin > 0)
        add_rows(w, read_factor(w, decays), own, weight, absolute, map);
      else
        add_own(w, own, weight, absolute, map);
      if (w.token_end < e_.tokens()) remember(w, decays);
    }
  }

 private:
  std::size_t size_of_state(const std::vector<node_index>& streams) {
    std::size_t n = 1;
    for (const node_index i : streams) n = std::max(n, at(e_.sizes().of(i), axis::state));
    return n;
  }
  extents controls(std::size_t tokens) const {
    extents size = single;
    at(size, axis::token) = tokens;
    at(size, axis::chan) = end_ - begin_;
    at(size, axis::state) = states_;
    return size;
  }
  void multiply(const std::vector<node_index>& streams, const window& w, const tensor<T>& y) {
    for (const node_index i : streams) e_.run().times(y, e_.value(i, w), y);
  }

  /// Products of decays from the start of the block to each token.
  tensor<T> decays_from_start(const window& w) {
    const tensor<T> y = e_.memory().make(controls(w.tokens())), nothing = e_.memory().filled(single, 0);
    const tensor<T> h = e_.memory().filled(controls(1), 1);
    e_.run().recur(e_.value(f_.decay, w), nothing, h, y);
    return y;
  }

  /// Q: left · read · decay from the start of the block (up to the token before, for an exclusive read).
  tensor<T> read_factor(const window& w, const tensor<T>& decays) {
    const tensor<T> q = e_.memory().make(controls(w.tokens()));
    if (f_.exclusive) {
      e_.run().shift(1, decays, q);
      e_.run().fill(1, q.slice(axis::token, 0, 1));
    } else {
      e_.run().copy(decays, q);
    }
    multiply(f_.read, w, q);
    multiply(f_.left, w, q);
    return q;
  }

  /// The block's rows and columns: (read Scan write + skip) between left and right on unit columns, then the filter
  /// along columns.
  tensor<T> own_columns(const window& w) {
    extents size = single;
    at(size, axis::token) = w.tokens();
    at(size, axis::chan) = end_ - begin_;
    at(size, axis::column) = w.tokens();
    const tensor<T> units = e_.memory().make(size), y = e_.memory().make(size);
    e_.run().eye(units);
    multiply(f_.right, w, units);
    core(w, units, y);
    multiply(f_.left, w, y);
    return f_.taps == absent ? y : filtered_columns(y);
  }

  void core(const window& w, const tensor<T>& x, const tensor<T>& y) {
    extents one = x.v.size;
    at(one, axis::token) = 1;
    at(one, axis::state) = states_;
    const tensor<T> h = e_.memory().filled(one, 0), written = e_.memory().filled(controls(w.tokens()), 1),
                    read = e_.memory().filled(controls(w.tokens()), 1);
    multiply(f_.write, w, written);
    multiply(f_.read, w, read);
    if (f_.exclusive) {
      // Token t reads the state after token t - 1: read one token early, then move the result back.
      const tensor<T> next = e_.memory().make(read.v.size), early = e_.memory().make(x.v.size);
      e_.run().shift(-1, read, next);
      e_.run().unrolled(e_.value(f_.decay, w), written, next, x, h, early);
      e_.run().shift(1, early, y);
    } else {
      e_.run().unrolled(e_.value(f_.decay, w), written, read, x, h, y);
    }
    for (const std::vector<node_index>& streams : f_.skip) {
      const tensor<T> term = e_.memory().make(x.v.size);
      e_.run().copy(x, term);
      multiply(streams, w, term);
      e_.run().plus(y, term, y);
    }
  }

  view<const T> taps() const { return stream_parameter(e_.env(), e_.graph()[f_.taps]).slice(axis::chan, begin_, end_); }

  /// Right-multiplication by the filter is its transpose along the columns; it reaches taps - 1 columns further to the
  /// left.
  tensor<T> filtered_columns(const tensor<T>& y) {
    extents size = y.v.size;
    at(size, axis::column) += taps_ - 1;
    const tensor<T> wide = e_.memory().filled(size, 0), result = e_.memory().make(size);
    e_.run().copy(y, wide.slice(axis::column, taps_ - 1, at(size, axis::column)));
    // The same numbers with the columns as tokens and the rows as columns.
    e_.run().fir_adjoint(taps(), columns_as_tokens(wide.v), columns_as_tokens(result.v));
    return result;
  }
  static view<T> columns_as_tokens(view<T> v) {
    std::swap(at(v.size, axis::token), at(v.size, axis::column));
    std::swap(at(v.stride, axis::token), at(v.stride, axis::column));
    return v;
  }

  /// The rows of one channel of `own`, at their place in the map; columns before the first token fall away.
  std::pair<view<T>, view<T>> placed(const window& w, const view<T>& own_channel, view<T> rows) const {
    const std::size_t reach = taps_ - 1, cut = w.token_begin < reach ? reach - w.token_begin : 0;
    const std::size_t first = w.token_begin + cut - reach;
    return {own_channel.slice(axis::column, cut, own_channel.of(axis::column)),
            rows.slice(axis::column, first, w.token_end)};
  }

  void add_own(const window& w, const tensor<T>& own, T weight, bool absolute, view<T> map) {
    const auto [from, to] = placed(w, own.v, map.slice(axis::token, w.token_begin, w.token_end));
    e_.run().total(weight, absolute, from, to);
  }

  void add_rows(const window& w, const tensor<T>& q, const tensor<T>& own, T weight, bool absolute, view<T> map) {
    const std::size_t channels = end_ - begin_, width = channels * states_, t = w.token_begin;
    const view<T> rows = map.slice(axis::token, t, w.token_end);
    if (!absolute) {
      const tensor<T> scale = e_.memory().filled(single, weight);
      e_.run().times(q, scale, q);
      e_.run().product(w.tokens(), t, width, q.v.data, width, past_.v.data, width, rows.data, rows.step(axis::token));
      add_own(w, own, weight, false, map);
      return;
    }
    extents size = single;
    at(size, axis::token) = w.tokens();
    at(size, axis::column) = w.token_end;
    const tensor<T> tile = e_.memory().make(size);
    for (std::size_t c = 0; c < channels; ++c) {
      e_.run().fill(0, tile);
      e_.run().product(w.tokens(), t, states_, q.v.slice(axis::chan, c, c + 1).data, width,
                       past_.v.slice(axis::chan, c, c + 1).data, width, tile.v.data, w.token_end);
      const auto [from, to] = placed(w, own.v.slice(axis::chan, c, c + 1), tile.v);
      e_.run().plus(to, from, to);
      e_.run().total(weight, true, tile, rows.slice(axis::column, 0, w.token_end));
    }
  }

  /// Moves K from the start of the block to its end, and adds the block's own inputs.
  void remember(const window& w, const tensor<T>& decays) {
    const std::size_t last = w.tokens() - 1;
    const tensor<T> earlier = past_.slice(axis::token, 0, w.token_begin);
    if (w.token_begin > 0) e_.run().times(earlier, decays.slice(axis::token, last, last + 1), earlier);
    // Products of decays after each token to the end of the block: a unit at the last token, run backwards.
    const tensor<T> own = e_.memory().filled(controls(w.tokens() + taps_ - 1), 0);
    const tensor<T> fresh = own.slice(axis::token, taps_ - 1, own.v.of(axis::token));
    const tensor<T> unit = e_.memory().make(controls(w.tokens())), h = e_.memory().filled(controls(1), 0);
    e_.run().unit(last, unit);
    e_.run().recur_adjoint(e_.value(f_.decay, w), unit, h, fresh);
    multiply(f_.write, w, fresh);
    multiply(f_.right, w, fresh);
    const std::size_t cut = w.token_begin < taps_ - 1 ? taps_ - 1 - w.token_begin : 0;
    const std::size_t first = w.token_begin + cut - (taps_ - 1);
    const tensor<T> into = past_.slice(axis::token, first, w.token_end);
    tensor<T> result = own;
    if (f_.taps != absent) {
      result = e_.memory().make(own.v.size);
      e_.run().fir_adjoint(taps(), own, result);
    }
    e_.run().plus(into, result.slice(axis::token, cut, result.v.of(axis::token)), into);
  }

  engine<T>& e_;
  const semiseparable& f_;
  std::size_t begin_, end_, states_ = 1, taps_ = 1;
  tensor<T> past_;
};

}  // namespace

template <class T>
void add_channel_sum(engine<T>& e, const semiseparable& form, std::size_t channels, T weight, bool absolute,
                     view<T> map) {
  for (std::size_t c = 0; c < channels; c += channel_block)
    block_sum<T>(e, form, c, std::min(c + channel_block, channels)).add(weight, absolute, map);
}

template void add_channel_sum(engine<float>&, const semiseparable&, std::size_t, float, bool, view<float>);
template void add_channel_sum(engine<double>&, const semiseparable&, std::size_t, double, bool, view<double>);

}  // namespace alphaform
