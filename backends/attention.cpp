#include <fmt/core.h>

#include <alphaform/algebra/planning.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/attention.hpp>
#include <alphaform/backends/diagonal.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/backends/plan/counting.hpp>
#include <alphaform/backends/reference/scan_law.hpp>

namespace alphaform {

bound_formula formula_of(const expr& attention) {
  const derivation d = derive(stabilised(attention));
  if (d.refused != absent)
    throw user_error(
        fmt::format("no implicit attention: on the value path, {} is neither linear nor a known activation{}{}",
                    print({d, d.refused}, notation::text), d.refusing == absent ? "" : ". ",
                    d.refusing == absent ? "" : rules[d.refusing].reason));
  if (d.g[d.formula].is<terms::zero>())
    throw user_error("y does not depend on the value path: H is 0; check which input is called 'x'");
  large_expr H;
  H.root = H.g.take(d.g, d.formula);
  const planned_operator plan = planned(H, value_axes({d, d.output}));
  bound_formula f;
  f.output = f.g.take(d.g, d.output);
  f.formula = f.g.take(plan.P.g, plan.P.root);
  f.remainder = f.g.take(d.g, d.remainder);
  f.diagonal = diagonal_of(f.g, f.formula, f.g[f.output].to);
  return f;
}

bound_formula formula_of(const expr& attention, const expr& other) {
  bound_formula f = formula_of(attention);
  // Within a window of tokens a RowNorm would see a part of its rows only: it is a Diag of whole rows from here on.
  f.formula = exhaust(f.g, f.g.take(other.g, other.root), only(rule_class::mathematical));
  f.diagonal = diagonal_of(f.g, f.formula, f.g[f.output].to);
  return f;
}

namespace {

extents map_size(std::size_t tokens, std::size_t columns) {
  extents size = single;
  at(size, axis::token) = tokens;
  at(size, axis::column) = columns;
  return size;
}

/// x, stored along every axis of `size`.
template <class T>
tensor<T> whole(engine<T>& e, const tensor<T>& x, const extents& size) {
  if (x.v.size == size && x.v.stride == contiguous(size)) return x;
  const tensor<T> y = e.memory().make(size);
  e.run().copy(x, y);
  return y;
}

/// One channel of a stream, by its number.
template <class T>
tensor<T> channel_of(tensor<T> x, const extents& stream, std::size_t channel) {
  for (std::size_t k = axis_count; k-- > 1;) {
    if (stream[k] == 1) continue;
    const std::size_t at = channel % stream[k];
    x = x.slice(every_axis[k], at, at + 1);
    channel /= stream[k];
  }
  return x;
}

/// Columns of the matrices of an operator that keeps channels apart, a block at a time, for the channels of the window:
/// f(first column, first row, [T - row, channels, columns]).
template <class T, class F>
void each_column_block(engine<T>& e, node_index h, const window& w, const extents& stream, F f) {
  const bool causal = e.causal(h);  // before column s nothing happens then
  for (std::size_t s = 0; s < w.token_end; s += token_block) {
    const std::size_t columns = std::min(token_block, w.token_end - s), first = causal ? s : 0;
    extents size = stream;
    at(size, axis::token) = w.token_end - first;
    at(size, axis::chan) = w.channel_end - w.channel_begin;
    at(size, axis::column) = columns;
    const tensor<T> units = e.memory().make(size);
    if (causal) {
      e.run().eye(units);
    } else {
      for (std::size_t k = 0; k < columns; ++k) e.run().unit(s + k, units.slice(axis::column, k, k + 1));
    }
    f(s, first, whole(e, e.apply(h, units, window{first, w.token_end, w.channel_begin, w.channel_end}), size));
  }
}

/// What an operator that mixes channels makes of 1 at one token and channel, in the same channel; or its transpose
/// does.
template <class T>
tensor<T> within_channel(engine<T>& e, node_index h, const extents& stream, std::size_t token, std::size_t channel,
                         bool transposed) {
  const tensor<T> unit = e.memory().filled(stream, 0);
  e.run().unit(token, channel_of(unit, stream, channel));
  const tensor<T> y = transposed ? e.adjoint(h, unit) : e.apply(h, unit);
  return channel_of(whole(e, y, stream), stream, channel);
}

/// Row or column `token` of the matrices of all channels, [T, channels].
template <class T>
tensor<T> line(engine<T>& e, const bound_formula& f, const extents& stream, std::size_t token, bool row) {
  if (f.diagonal != absent) {
    if (row) return whole(e, e.row(f.diagonal, token), stream);
    const tensor<T> unit = e.memory().make(map_size(at(stream, axis::token), 1));  // the same for all channels
    e.run().unit(token, unit);
    return whole(e, e.apply(f.diagonal, unit), stream);
  }
  const tensor<T> y = e.memory().make(stream);
  for (std::size_t c = 0; c < volume(stream) / at(stream, axis::token); ++c)
    e.run().copy(within_channel(e, f.formula, stream, token, c, row), channel_of(y, stream, c));
  return y;
}

constexpr over_channels kernel_of(reduction r) {
  constexpr std::array kernels{over_channels::sum, over_channels::absolute, over_channels::positive,
                               over_channels::maximum};
  return kernels[static_cast<std::size_t>(r)];
}

/// Takes the entries of `part` over its channels into `to`.
template <class T>
void reduce(engine<T>& e, reduction over, T weight, const tensor<T>& part, view<T> to) {
  const kernels<T>& k = e.run();
  if (over == reduction::mean || over == reduction::abs_mean)
    return k.total(weight, over == reduction::abs_mean, part, to);
  const tensor<T> entries = e.memory().make(part.v.size);
  k.map(over == reduction::max ? function_code<functions::abs> : function_code<functions::relu>, part, entries);
  if (over == reduction::clamp) return k.total(weight, false, entries, to);
  extents lanes = part.v.size;
  at(lanes, axis::token) = at(lanes, axis::column) = 1;
  for (std::size_t c = 0; c < volume(lanes); ++c) k.larger(to, channel_of(entries, lanes, c), to);
}

/// Entries of the smallest windows that a limit of memory leads to.
constexpr std::size_t smallest_window = 512;
/// As many channels as unit columns are run for at once.
constexpr std::size_t channel_block = 16;

/// f(first row, first column, [rows, channels, columns]) for parts that make up the matrices of all channels.
template <class T, class F>
void each_part(engine<T>& e, const bound_formula& f, const extents& stream, F part) {
  const std::size_t channels = at(stream, axis::chan);
  if (f.diagonal != absent) {
    for (std::size_t c = 0; c < channels; c += channel_block) {
      const window w{0, e.tokens(), c, std::min(c + channel_block, channels)};
      each_column_block(e, f.diagonal, w, stream,
                        [&](std::size_t s, std::size_t row, const tensor<T>& y) { part(row, s, y); });
    }
    return;
  }
  for (std::size_t s = 0; s < e.tokens(); ++s) part(0, s, line(e, f, stream, s, false));
}

template <class T>
tensor<T> run(engine<T>& e, const bound_formula& f, const query& q, const extents& stream, const tensor<T>& operand) {
  const kernels<T>& k = e.run();
  const std::size_t tokens = e.tokens(), channels = at(stream, axis::chan);
  const T weight = T(1) / static_cast<T>(volume(stream) / tokens);
  const auto place = [tokens](const tensor<T>& map, std::size_t row, std::size_t s, const tensor<T>& part) {
    return map.slice(axis::token, row, tokens).slice(axis::column, s, s + part.v.of(axis::column));
  };
  switch (q.is) {
    case query::kind::apply:
      return whole(e, e.apply(f.formula, operand), stream);
    case query::kind::adjoint:
      return whole(e, e.adjoint(f.formula, operand), stream);
    case query::kind::remainder: {
      const tensor<T> r = e.memory().make(stream);
      k.copy(e.value(f.remainder), r);
      return r;
    }
    case query::kind::row:
    case query::kind::column:
      return line(e, f, stream, q.at, q.is == query::kind::row);
    case query::kind::reduced_row: {
      const tensor<T> sum = e.memory().filled(map_size(tokens, 1), 0);
      reduce(e, q.over, weight, line(e, f, stream, q.at, true), sum.v);
      return sum;
    }
    case query::kind::matrix: {
      const tensor<T> map = e.memory().filled(map_size(tokens, tokens), 0);
      if (f.diagonal == absent) {
        for (std::size_t s = 0; s < tokens; ++s)
          k.copy(within_channel(e, f.formula, stream, s, q.at, false), map.slice(axis::column, s, s + 1));
        return map;
      }
      std::size_t number = q.at, behind = 1;  // of entries behind the channel axis
      for (std::size_t a = static_cast<std::size_t>(axis::chan) + 1; a < axis_count; ++a) behind *= stream[a];
      const std::size_t c = number / behind % channels;
      extents one = stream;  // as the window has it
      at(one, axis::chan) = 1;
      number = number / behind / channels * behind + number % behind;
      each_column_block(e, f.diagonal, window{0, tokens, c, c + 1}, stream,
                        [&](std::size_t s, std::size_t row, const tensor<T>& part) {
                          k.copy(channel_of(part, one, number), place(map, row, s, part));
                        });
      return map;
    }
    case query::kind::reduced_matrix: {
      const tensor<T> map = e.memory().filled(map_size(tokens, tokens), 0);
      if (const auto form = f.diagonal != absent ? as_semiseparable(f.g, f.diagonal) : std::nullopt) {
        add_over_channels<T>(e, *form, stream, q.over == reduction::max ? 1 : weight, kernel_of(q.over), map);
        return map;
      }
      each_part(e, f, stream, [&](std::size_t row, std::size_t s, const tensor<T>& part) {
        reduce(e, q.over, weight, part, place(map, row, s, part).v);
      });
      return map;
    }
  }
  throw internal_error("a query without an answer");
}

}  // namespace

template <class T>
implicit_attention<T>::implicit_attention(const bound_formula& formula, environment<T> env, const kernels<T>& backend,
                                          handed_on<T> states)
    : f_(formula), env_(placed_on(backend, std::move(env))), backend_(backend), engine_(f_.g, env_, backend_, states) {
  if (!env_.inputs.contains(value_input))
    throw user_error("nothing is bound to the input 'x', at which the value path starts");
  for (const auto& [name, stream] : env_.inputs)
    if (stream.v.of(axis::token) != x().v.of(axis::token))
      throw user_error(fmt::format("the input '{}' has {} tokens, but 'x' has {}", name, stream.v.of(axis::token),
                                   x().v.of(axis::token)));
  tokens_ = engine_.tokens();
  stream_ = engine_.sizes().of(f_.output);
  at(stream_, axis::token) = tokens_;
}

template <class T>
tensor<T> implicit_attention<T>::output() {
  return answered([&](engine<T>& e) { return e.value(f_.output); });
}
template <class T>
tensor<T> implicit_attention<T>::remainder() {
  return answer({query::kind::remainder});
}
template <class T>
tensor<T> implicit_attention<T>::apply(const tensor<T>& x) {
  needs_stream(x);
  return answer({query::kind::apply}, x);
}
template <class T>
tensor<T> implicit_attention<T>::adjoint(const tensor<T>& g) {
  needs_stream(g);
  return answer({query::kind::adjoint}, g);
}
template <class T>
tensor<T> implicit_attention<T>::mean_product(const tensor<T>& s, bool transposed, carried_lanes<T>* states) {
  if (f_.diagonal == absent)
    throw user_error("H passes from channel to channel: its mean over channels is no product with one stream");
  if (s.v.size != stream_extents(tokens_, 1))
    throw user_error(fmt::format("the mean of H is {0} x {0}: it takes one number a token", tokens_));
  return answered([&](engine<T>& e) { return e.lane_mean(f_.diagonal, s, transposed, states); });
}
template <class T>
tensor<T> implicit_attention<T>::mean_apply(const tensor<T>& x, carried_lanes<T>* states) {
  return mean_product(x, false, states);
}
template <class T>
tensor<T> implicit_attention<T>::mean_adjoint(const tensor<T>& g, carried_lanes<T>* states) {
  return mean_product(g, true, states);
}
template <class T>
tensor<T> implicit_attention<T>::row(std::size_t i) {
  return answer({query::kind::row, i});
}
template <class T>
tensor<T> implicit_attention<T>::column(std::size_t j) {
  return answer({query::kind::column, j});
}
template <class T>
tensor<T> implicit_attention<T>::matrix(std::size_t channel) {
  return answer({query::kind::matrix, channel});
}
template <class T>
tensor<T> implicit_attention<T>::reduced_row(std::size_t i, reduction r) {
  return answer({query::kind::reduced_row, i, r});
}
template <class T>
tensor<T> implicit_attention<T>::reduced_matrix(reduction r) {
  return answer({query::kind::reduced_matrix, 0, r});
}

template <class T>
tensor<T> implicit_attention<T>::answer(const query& q, const tensor<T>& operand) {
  check(q);
  if (most_bytes_ != static_cast<std::size_t>(-1)) {
    const query_plan p = plan(q);
    if (p.peak_bytes > most_bytes_)
      throw user_error(fmt::format("{} takes {} bytes beyond weights and inputs, but at most {} were allowed", p.query,
                                   p.peak_bytes, most_bytes_));
    engine_.use_windows_of(window_of(p.window));
  }
  return answered([&](engine<T>& e) { return run(e, f_, q, stream_, operand); });
}

template <class T>
template <class Ask>
tensor<T> implicit_attention<T>::answered(const Ask& ask) {
  const entered<T> on(backend_);
  const std::size_t usual = engine_.window_entries();
  for (std::size_t window = std::min(usual, largest_window());;) {
    try {
      return ask(engine_);
    } catch (const out_of_memory& e) {
      if (!engine_.has_whole_text()) throw;  // the states of earlier tokens have moved on
      const std::size_t bytes = counted(ask, window);
      do {
        if (window <= smallest_window) {
          engine_.use_windows_of(usual);
          throw out_of_memory(fmt::format("{}; this takes {} bytes beyond weights and inputs, no less in any windows",
                                          e.what(), bytes));
        }
        window /= 4;
      } while (counted(ask, window) >= bytes);
      engine_.use_windows_of(window);
    }
  }
}

template <class T>
template <class Ask>
std::size_t implicit_attention<T>::counted(const Ask& ask, std::size_t window) const {
  const auto on = [&](const kernels<T>& k) {
    engine<T> dry(f_.g, env_, k);
    dry.use_windows_of(window_of(window));
    { const tensor<T> result = ask(dry); }
    return dry.count().peak;
  };
  std::size_t of_device = 0;  // with what its kernels need for themselves
  if (backend_.rehearse != nullptr) of_device = backend_.rehearse([&] { on(backend_); });
  counted_work() = {};
  const std::size_t of_streams = on(counting_kernels<T>(backend_.has_own_memory));
  return backend_.rehearse != nullptr ? of_device : of_streams;
}

template <class T>
void implicit_attention<T>::needs_stream(const tensor<T>& s) const {
  if (s.v.size == stream_) return;
  throw user_error(fmt::format("H is {} x {} in {} channels, but the stream has {} tokens and {} channels", tokens_,
                               tokens_, channels(), s.v.of(axis::token), volume(s.v.size) / s.v.of(axis::token)));
}

template <class T>
void implicit_attention<T>::check(const query& q) const {
  using kind = query::kind;
  const bool of_token = q.is == kind::row || q.is == kind::column || q.is == kind::reduced_row;
  if (of_token && q.at >= tokens_)
    throw user_error(fmt::format("token {} was asked for, but the text has tokens 0 to {}", q.at, tokens_ - 1));
  if (q.is == kind::matrix && q.at >= channels())
    throw user_error(
        fmt::format("channel {} was asked for, but this layer has channels 0 to {}", q.at, channels() - 1));
}

template <class T>
query_plan implicit_attention<T>::plan(const query& q) const {
  query_plan p = planned(q, std::min(engine<T>::usual_window_on(backend_), largest_window()));
  // Smaller windows as long as they are needed and help.
  while (p.peak_bytes > most_bytes_ && p.window > smallest_window) {
    query_plan smaller = planned(q, p.window / 4);
    if (smaller.peak_bytes >= p.peak_bytes) break;
    p = std::move(smaller);
  }
  return p;
}

template <class T>
query_plan implicit_attention<T>::planned(const query& q, std::size_t window) const {
  using kind = query::kind;
  check(q);
  query_plan p;
  p.window = window;
  p.threads = backend_.has_own_memory ? 1 : threads();
  tensor<T> operand;
  if (q.is == kind::apply || q.is == kind::adjoint) operand = x();
  p.peak_bytes = counted([&](engine<T>& e) { return run(e, f_, q, stream_, operand); }, window);
  p.steps = std::exchange(counted_work(), {});
  for (const auto& [kernel, w] : p.steps) {
    p.all.calls += w.calls;
    p.all.flops += w.flops;
    p.all.functions += w.functions;
    p.all.bytes += w.bytes;
  }
  p.backend = backend_.name;
  p.tokens = tokens_;
  p.channels = channels();
  const std::string what = q.is == kind::row || q.is == kind::column || q.is == kind::reduced_row
                               ? fmt::format(" {}", q.at)
                           : q.is == kind::matrix ? fmt::format(" of channel {}", q.at)
                                                  : "";
  constexpr std::array names{"H x",
                             "H' g",
                             "remainder r",
                             "row",
                             "column",
                             "matrix",
                             "row reduced over channels",
                             "map reduced over channels"};
  p.query = names[static_cast<std::size_t>(q.is)] + what;
  if (q.is == kind::reduced_row || q.is == kind::reduced_matrix) p.query += fmt::format(" ({})", text_of(q.over));
  const bool scan = q.is != kind::matrix && q.is != kind::reduced_matrix;
  const bool products = q.is == kind::reduced_matrix && f_.diagonal != absent && as_semiseparable(f_.g, f_.diagonal);
  p.strategy = products ? "blocked matrix products" : scan ? "scan over the tokens" : "scans of unit columns";
  p.reason = products ? "H is semiseparable: below a block of rows it is a product of factors as wide as the state"
             : f_.diagonal == absent && q.is != kind::apply && q.is != kind::adjoint && q.is != kind::remainder
                 ? "H mixes channels: what each passes on to itself is asked for one by one"
             : scan ? "one pass over the tokens in windows of channels; no pair of tokens is formed"
                    : "H is asked for entry by entry, a block of columns at a time";
  p.recurrence = "may be scanned in parallel";
  for (const scan_and_law& s : laws_in({f_.g, f_.formula}, witness({}, 1)))
    if (!s.law.parallel()) p.recurrence = "token after token: " + s.law.refusal();
  return p;
}

template class implicit_attention<float>;
template class implicit_attention<double>;

}  // namespace alphaform
