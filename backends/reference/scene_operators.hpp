// What every operator does to a stream by definition, for the dense witness. Its matrix is what it does to every column
// of the identity.
#pragma once
#include <algorithm>
#include <alphaform/backends/reference/scene.hpp>

namespace alphaform::reference {

template <class S>
struct operator_value final {
  const scene<S>& s;
  const node& n;
  const matrix<S>& x;  ///< streams, one a column
  axes in;             ///< their axes

  Index tokens() const { return s.space.sizes.tokens; }
  Index width(axes of) const { return s.space.width(of); }
  streams<S> none(axes to) const { return {matrix<S>::Zero(s.space.size(to), x.cols()), to}; }
  void want(bool right, const char* otherwise) const {
    if (!right) throw internal_error(otherwise);
  }

  /// y_t = x_{source(t)}, 0 where the source is no token.
  template <class Source>
  streams<S> tokens_from(Source source) const {
    streams<S> y = none(in);
    const Index w = width(in);
    for (Index t = 0; t < tokens(); ++t)
      if (const Index from = source(t); from >= 0) y.m.middleRows(t * w, w) = x.middleRows(from * w, w);
    return y;
  }
  /// Sums over the entries e of one token of a stream that has all axes: y_{to(e)} += entry(t, e) x_{t, from(e)}.
  template <class Entry>
  streams<S> summed(axes to, Entry entry) const {
    streams<S> y = none(to);
    const axes all = in | to;
    const std::vector<Index> row = s.space.places(all, to), column = s.space.places(all, in);
    for (Index t = 0; t < tokens(); ++t)
      for (std::size_t e = 0; e < row.size(); ++e)
        y.m.row(t * width(to) + row[e]) += entry(t, static_cast<Index>(e)) * x.row(t * width(in) + column[e]);
    return y;
  }
  /// Block t of an operator that works within tokens, applied to one token's entries.
  matrix<S> at_token(node_index p, Index t, const matrix<S>& entries) const {
    const Index w = width(in);
    matrix<S> alone = matrix<S>::Zero(s.space.size(in), entries.cols());
    alone.middleRows(t * w, w) = entries;
    const streams<S> y = s.apply(p, alone, in);
    const Index rows = width(y.has);
    for (Index r = 0; r < y.m.rows(); ++r)
      want(r / rows == t || y.m.row(r) == matrix<S>::Zero(1, y.m.cols()), "this operator must work within a token");
    return y.m.middleRows(t * rows, rows);
  }

  streams<S> operator()(terms::identity) const { return {x, in}; }
  streams<S> operator()(terms::zero) const {
    want(in.contains(n.from), "0 consumes an axis that the stream lacks");
    return none(after({n.from, n.to}, in));
  }
  streams<S> operator()(terms::diag) const {
    const array<S>& d = s.stream(n.a);
    want(in.contains(d.has), "Diag has an axis that the stream it acts on lacks");
    return {s.space.repeated(d.x, d.has, in).asDiagonal() * x, in};
  }
  streams<S> operator()(terms::conv) const {
    const array<S>& taps = s.stream(n.a);
    const axes of = taps.has - tap;
    want(in.contains(of), "Conv has an axis that the stream it acts on lacks");
    streams<S> y = none(in);
    const Index w = width(in), last = s.space.sizes.taps - 1;
    const std::vector<Index> filter = s.space.places(in, of), weight_of = s.space.places(taps.has, of),
                             weight_at = s.space.places(taps.has, tap);
    for (Index t = 0; t < tokens(); ++t)
      for (Index k = 0; k < w; ++k)
        for (std::size_t e = 0; e < weight_of.size(); ++e)
          if (const Index from = t - (last - weight_at[e]);
              from >= 0 && weight_of[e] == filter[static_cast<std::size_t>(k)])
            y.m.row(t * w + k) += taps.x[t * width(taps.has) + static_cast<Index>(e)] * x.row(from * w + k);
    return y;
  }
  streams<S> operator()(terms::lags) const {
    want(!in.touches(tap), "Lags makes an axis that the stream already has");
    streams<S> y = none(in | tap);
    const Index last = s.space.sizes.taps - 1;
    const std::vector<Index> entry = s.space.places(y.has, in), at = s.space.places(y.has, tap);
    for (Index t = 0; t < tokens(); ++t)
      for (std::size_t e = 0; e < entry.size(); ++e)
        if (const Index from = t - (last - at[e]); from >= 0)
          y.m.row(t * width(y.has) + static_cast<Index>(e)) = x.row(from * width(in) + entry[e]);
    return y;
  }
  streams<S> operator()(terms::delay) const {
    return tokens_from([](Index t) { return t - 1; });
  }
  streams<S> operator()(terms::reverse) const {
    return tokens_from([this](Index t) { return tokens() - 1 - t; });
  }
  streams<S> operator()(terms::permute) const {
    const std::vector<Index> order = token_order(s.v[n.a].id, tokens(), s.seed);
    return tokens_from([&order](Index t) { return order[static_cast<std::size_t>(t)]; });
  }
  streams<S> operator()(terms::mix) const {
    const axes kept = in - n.from, to = kept | n.to;
    want(in.contains(n.from) && !kept.touches(n.to), "Mix consumes an axis that the stream lacks, or makes one it has");
    if (!n.from.touches(n.to)) {
      const array<S>& w = s.stream(n.a);
      want((in | to).contains(w.has), "Mix has a weight with an axis that the stream lacks");
      const std::vector<Index> weight = s.space.places(in | to, w.has);
      return summed(to, [&](Index t, Index e) { return w.x[t * width(w.has) + weight[static_cast<std::size_t>(e)]]; });
    }
    streams<S> y = none(to);
    const axes each = s.v[n.a].to - (n.to | n.from);  // a matrix for every entry of these
    want(kept.contains(each), "Mix has matrices for the entries of an axis that the stream lacks");
    for (Index j = 0; j < width(to); ++j)
      for (Index k = 0; k < width(in); ++k) {
        if (s.space.place(j, to, kept) != s.space.place(k, in, kept)) continue;
        const S w = s.square_weight(n.a, s.space.place(j, to, each) * width(n.to) + s.space.place(j, to, n.to),
                                    s.space.place(k, in, n.from));
        for (Index t = 0; t < tokens(); ++t) y.m.row(t * width(to) + j) += w * x.row(t * width(in) + k);
      }
    return y;
  }
  streams<S> operator()(terms::expand) const {
    want(!in.touches(n.to), "Expand makes an axis that the stream already has");
    return {s.space.repeated(x, in, in | n.to), in | n.to};
  }
  streams<S> operator()(terms::contract) const {
    want(in.contains(n.from), "Contract sums over an axis that the stream lacks");
    return summed(in - n.from, [](Index, Index) { return S(1); });
  }
  streams<S> operator()(terms::every_token) const {
    return tokens_from([](Index) { return 0; });
  }
  streams<S> operator()(terms::over_tokens) const {
    streams<S> y = none(in);
    const Index w = width(in);
    for (Index t = 0; t < tokens(); ++t) y.m.topRows(w) += x.middleRows(t * w, w);
    return y;
  }
  streams<S> operator()(terms::embed) const {
    want(!in.touches(part), "Complex makes an axis that the stream already has");
    return parts(in | part, [](Index to, Index) { return to == 0 ? 1.0 : 0.0; });
  }
  streams<S> operator()(terms::real) const {
    want(in.touches(part), "Re needs a complex stream");
    return parts(in - part, [](Index, Index from) { return from == 0 ? 1.0 : 0.0; });
  }
  streams<S> operator()(terms::turn) const {
    want(in.contains(n.to) && width(n.to) % 2 == 0, "a quarter turn needs an axis with an even number of entries");
    streams<S> y = none(in);
    const Index half = width(n.to) / 2;
    const std::vector<Index> at = s.space.places(in, n.to), rest = s.space.places(in, in - n.to);
    for (Index t = 0; t < tokens(); ++t)
      for (std::size_t j = 0; j < at.size(); ++j)
        for (std::size_t k = 0; k < at.size(); ++k)
          if (rest[j] == rest[k] && at[k] == (at[j] + half) % (2 * half))
            y.m.row(t * width(in) + static_cast<Index>(j)) =
                (at[j] < half ? S(-1) : S(1)) * x.row(t * width(in) + static_cast<Index>(k));
    return y;
  }
  /// A map of the two parts; `part` is the last axis.
  template <class Entry>
  streams<S> parts(axes to, Entry entry) const {
    streams<S> y = none(to);
    const Index made = to.touches(part) ? 2 : 1, had = in.touches(part) ? 2 : 1;
    for (Index e = 0; e < y.m.rows() / made; ++e)
      for (Index j = 0; j < made; ++j)
        for (Index k = 0; k < had; ++k) y.m.row(e * made + j) += S(entry(j, k)) * x.row(e * had + k);
    return y;
  }
  streams<S> operator()(terms::attend) const {
    const array<S>&q = s.stream(n.a), &k = s.stream(n.b);
    const axes all = q.has | k.has | state, kept = all - state;
    want(in.contains(kept), "Attend has an axis that the stream it acts on lacks");
    const vector<S> query = s.space.repeated(q.x, q.has, all), key = s.space.repeated(k.x, k.has, all);
    const std::vector<Index> entry = s.space.places(all, kept), at = s.space.places(in, kept);
    streams<S> y = none(in);
    for (Index t = 0; t < tokens(); ++t)
      for (Index from = n.id.empty() ? 0 : std::max<Index>(0, t - attention_window + 1); from <= t; ++from) {
        vector<S> score = vector<S>::Zero(width(kept));
        for (Index e = 0; e < width(all); ++e)
          score[entry[static_cast<std::size_t>(e)]] += query[t * width(all) + e] * key[from * width(all) + e];
        for (Index e = 0; e < width(in); ++e) {
          using std::exp;
          y.m.row(t * width(in) + e) += S(exp(score[at[static_cast<std::size_t>(e)]])) * x.row(from * width(in) + e);
        }
      }
    return y;
  }

  streams<S> operator()(terms::scan) const {
    streams<S> y = none(in);
    const Index w = width(in);
    for (Index t = 0; t < tokens(); ++t) {
      y.m.middleRows(t * w, w) = x.middleRows(t * w, w);
      if (t > 0) y.m.middleRows(t * w, w) += at_token(n.a, t, y.m.middleRows((t - 1) * w, w));
    }
    return y;
  }
  /// P, each row divided by f(its sum).
  template <class F>
  streams<S> normalised(F f) const {
    streams<S> y = s.apply(n.a, x, in);
    vector<S> rows = s.apply(n.a, matrix<S>::Ones(s.space.size(in), 1), in).m.col(0);
    for (Index r = 0; r < rows.size(); ++r) y.m.row(r) *= S(1) / f(rows[r]);
    return y;
  }
  streams<S> operator()(terms::rownorm) const {
    return normalised([](const S& sum) { return sum; });
  }
  streams<S> operator()(terms::bounded_rownorm) const {
    return normalised([](const S& sum) {
      using std::abs;
      return std::max<S>(abs(sum), S(1));
    });
  }
  streams<S> operator()(terms::adjoint) const {
    const effect p{s.v[n.a].from, s.v[n.a].to};
    want(in.contains(p.to), "a transpose consumes an axis that the stream lacks");
    const axes to = (in - p.to) | p.from;
    const streams<S> m = s.apply(n.a, matrix<S>::Identity(s.space.size(to), s.space.size(to)), to);
    want(m.has == in, "the transpose of an operator with other axes");
    return {m.m.transpose() * x, to};
  }
  streams<S> operator()(terms::sum) const {
    const streams<S> p = s.apply(n.a, x, in), q = s.apply(n.b, x, in);
    want(p.has == q.has, "a sum of operators that make different axes");
    return {p.m + q.m, p.has};
  }
  streams<S> operator()(terms::paths) const { return (*this)(terms::sum{}); }
  streams<S> operator()(terms::product) const { return s.apply(n.a, s.apply(n.b, x, in)); }

  streams<S> operator()(terms::frozen) const {
    want(in == s.v[n.b].to, "F acts on streams with the axes of its variable");
    return s.along_value_path(n.a, n.b, x);
  }
  streams<S> operator()(terms::derivative) const {
    want(in == s.v[n.b].to, "J acts on streams with the axes of its variable");
    return s.derivative(n.a, n.b, x);
  }
  streams<S> operator()(terms::controls) const {
    const streams<S> all = (*this)(terms::derivative{}), path = (*this)(terms::frozen{});
    return {all.m - s.space.repeated(path.m, path.has, all.has), all.has};
  }
  streams<S> operator()(terms::retimed) const {
    std::optional<streams<S>> y;
    const Index w = width(in);
    for (Index t = tokens() - 1; t >= 0; --t) {
      const Index of = t == 0 ? 0 : tokens() - t;
      const matrix<S> block = at_token(n.a, of, x.middleRows(t * w, w));
      if (!y) y = none(after({n.from, n.to}, in));
      if (t > 0) y->m.middleRows(t * block.rows(), block.rows()) = block;
    }
    return *y;
  }

  template <class Term>
  requires(one_of<terms::any_operator, terms::spread, terms::repeat_made, terms::repeat_consumed, terms::sum_made,
                  terms::sum_consumed>(term_code<Term>)) streams<S>
  operator()(Term) const { throw internal_error("a symbol of a pattern has no matrix"); }
  template <class Term>
  requires(Term::is == sort::stream) streams<S>
  operator()(Term) const { throw internal_error("a stream has no matrix: ask the witness for its value"); }
};

}  // namespace alphaform::reference
