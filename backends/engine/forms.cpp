#include <alphaform/algebra/order.hpp>
#include <alphaform/backends/engine/forms.hpp>

namespace alphaform {

namespace {

template <class Term>
std::vector<node_index> flat(const workspace& g, node_index p) {
  buffer<node_index> list;
  flatten<Term>(g, p, list);
  return {list.begin(), list.end()};
}

void append(streams& list, const streams& more) { list.insert(list.end(), more.begin(), more.end()); }

/// Diag(p) Expand Contract Diag(q)
bool is_outer(const workspace& g, node_index operation, unrolled_form& form) {
  const std::vector<node_index> f = factors_of(g, operation);
  streams p, q;
  std::size_t k = take_diagonals(g, f, 0, p);
  if (k + 2 > f.size() || !g[f[k]].is<terms::expand>() || g[f[k]].to != state || !g[f[k + 1]].is<terms::contract>() ||
      g[f[k + 1]].from != state)
    return false;
  k = take_diagonals(g, f, k + 2, q);
  if (k != f.size() || form.p) return false;
  form.p = p;
  form.q = q;
  return true;
}

/// Diag(a), or Diag(left) (Diag(a) + p q') Diag(right).
bool is_transition(const workspace& g, node_index operation, unrolled_form& form) {
  if (is_diagonal(g, operation, form.decay)) return true;
  const std::vector<node_index> f = factors_of(g, operation);
  streams left, right;
  std::size_t k = take_diagonals(g, f, 0, left);
  if (k == f.size() || !g[f[k]].is<terms::sum>()) return false;
  const std::vector<node_index> sum = terms_of(g, f[k]);
  if (take_diagonals(g, f, k + 1, right) != f.size() || sum.size() != 2) return false;
  form.decay = left;
  append(form.decay, right);
  for (const node_index term : sum)
    if (!is_outer(g, term, form) && !is_diagonal(g, term, form.decay)) return false;
  if (!form.p) return false;
  append(*form.p, left);
  append(*form.q, right);
  return true;
}

/// Delay? Scan(A)
bool is_scan(const workspace& g, const std::vector<node_index>& f, unrolled_form& form) {
  std::size_t k = 0;
  if (f.size() == 2 && g[f[0]].is<terms::delay>()) {
    form.exclusive = true;
    k = 1;
  }
  return k + 1 == f.size() && g[f[k]].is<terms::scan>() && is_transition(g, g[f[k]].a, form);
}

bool is_core(const workspace& g, node_index operation, unrolled_form& form) {
  bool scanned = false;
  for (const node_index term : terms_of(g, operation)) {
    streams bonus;
    if (is_diagonal(g, term, bonus)) {
      form.bonus.push_back(bonus);
      continue;
    }
    if (scanned || !is_scan(g, factors_of(g, term), form)) return false;
    scanned = true;
  }
  return scanned;
}

}  // namespace

spine::spine(const workspace& g, node_index p) {
  for (; g[p].is<terms::product>(); p = g[p].b) {
    for (const node_index f : factors_of(g, g[p].a)) factors.push_back(f);
    suffix.push_back(p);
    suffix.resize(factors.size(), absent);
  }
  factors.push_back(p);
  suffix.push_back(p);
}

std::size_t take_diagonals(const workspace& g, const std::vector<node_index>& factors, std::size_t k, streams& list) {
  for (; k < factors.size() && g[factors[k]].is<terms::diag>(); ++k)
    append(list, stream_factors_of(g, g[factors[k]].a));
  return k;
}

bool is_diagonal(const workspace& g, node_index operation, streams& list) {
  if (g[operation].is<terms::identity>()) return true;
  const std::vector<node_index> f = factors_of(g, operation);
  return take_diagonals(g, f, 0, list) == f.size();
}

std::vector<node_index> factors_of(const workspace& g, node_index p) { return flat<terms::product>(g, p); }
std::vector<node_index> terms_of(const workspace& g, node_index p) { return flat<terms::sum>(g, p); }

streams stream_factors_of(const workspace& g, node_index i) {
  const node& n = g[i];
  if (n.is<terms::one>()) return {};
  if (n.is<terms::held>()) return stream_factors_of(g, n.a);
  const bool scaled = n.is<terms::applied>() && g[n.a].is<terms::diag>();
  if (!n.is<terms::times>() && !scaled) return {i};
  streams list = stream_factors_of(g, scaled ? g[n.a].a : n.a);
  append(list, stream_factors_of(g, n.b));
  return list;
}

streams exponent_of(const workspace& g, const unrolled_form& u) {
  if (u.decay.size() != 1) return {};
  const node& decay = g[u.decay.front()];
  if (!decay.is<terms::function>() || decay.function != function_code<functions::exp>) return {};
  return stream_factors_of(g, decay.a);
}

std::optional<unrolled_form> unrolled_from(const workspace& g, const std::vector<node_index>& factors, std::size_t at) {
  if (at >= factors.size() || !g[factors[at]].is<terms::contract>() || g[factors[at]].from != state)
    return std::nullopt;
  unrolled_form form;
  std::size_t k = take_diagonals(g, factors, at + 1, form.read);
  // The core is a sum, or the factors up to a scan.
  if (k < factors.size() && g[factors[k]].is<terms::sum>()) {
    if (!is_core(g, factors[k], form)) return std::nullopt;
    ++k;
  } else {
    const std::size_t begin = k;
    while (k < factors.size() && !g[factors[k]].is<terms::scan>()) ++k;
    if (k == factors.size() || k > begin + 1) return std::nullopt;
    ++k;
    if (!is_scan(
            g, {factors.begin() + static_cast<std::ptrdiff_t>(begin), factors.begin() + static_cast<std::ptrdiff_t>(k)},
            form))
      return std::nullopt;
  }
  k = take_diagonals(g, factors, k, form.write);
  if (k == factors.size() || !g[factors[k]].is<terms::expand>() || g[factors[k]].to != state) return std::nullopt;
  form.factors = k + 1 - at;
  return form;
}

std::optional<unrolled_form> unrolled_up_to(const workspace& g, const std::vector<node_index>& factors,
                                            std::size_t end) {
  if (end == 0 || !g[factors[end - 1]].is<terms::expand>()) return std::nullopt;
  for (std::size_t at = end - 1; at-- > 0;) {
    if (!g[factors[at]].is<terms::contract>()) continue;
    const auto form = unrolled_from(g, factors, at);
    return form && at + form->factors == end ? form : std::nullopt;
  }
  return std::nullopt;
}

std::optional<unrolled_pass_form> unrolled_pass_from(const workspace& g, const std::vector<node_index>& factors,
                                                     std::size_t at, const std::function<bool(std::size_t)>& joins) {
  const auto is_diag = [&](std::size_t k) { return k < factors.size() && g[factors[k]].is<terms::diag>(); };
  unrolled_pass_form form;
  std::size_t k = at;
  for (; is_diag(k) && joins(k + 1); ++k) append(form.outer, stream_factors_of(g, g[factors[k]].a));
  if (k == factors.size()) return std::nullopt;
  if (const node& sum = g[factors[k]]; one_of<terms::sum, terms::paths>(sum.term)) {
    form.skips = true;
    node_index other = sum.a;
    if (!is_diagonal(g, sum.b, form.inner)) {
      form.inner.clear();
      if (!is_diagonal(g, sum.a, form.inner)) return std::nullopt;
      other = sum.b;
    }
    const std::vector<node_index> within = factors_of(g, other);
    std::size_t j = take_diagonals(g, within, 0, form.after);
    const auto core = unrolled_from(g, within, j);
    if (!core || take_diagonals(g, within, j + core->factors, form.before) != within.size()) return std::nullopt;
    form.core = *core;
    ++k;
  } else {
    const auto core = unrolled_from(g, factors, k);
    if (!core) return std::nullopt;
    form.core = *core;
    k += core->factors;
  }
  for (; is_diag(k) && joins(k); ++k) append(form.first, stream_factors_of(g, g[factors[k]].a));
  form.factors = k - at;
  return form;
}

std::optional<unrolled_pass_form> unrolled_pass_up_to(const workspace& g, const std::vector<node_index>& factors,
                                                      std::size_t end, const std::function<bool(std::size_t)>& joins) {
  std::size_t at = end;
  while (at > 0 && g[factors[at - 1]].is<terms::diag>() && (at == end || joins(at))) --at;
  if (at == 0 || (at < end && !joins(at))) return std::nullopt;
  if (one_of<terms::sum, terms::paths>(g[factors[at - 1]].term)) {
    --at;
  } else {
    const auto core = unrolled_up_to(g, factors, at);
    if (!core) return std::nullopt;
    at -= core->factors;
  }
  while (at > 0 && g[factors[at - 1]].is<terms::diag>() && joins(at)) --at;
  const auto form = unrolled_pass_from(g, factors, at, joins);
  return form && at + form->factors == end ? form : std::nullopt;
}

std::optional<scan_form> scan_from(const workspace& g, const std::vector<node_index>& factors, std::size_t at,
                                   const std::function<bool(std::size_t)>& joins) {
  const auto is_diag = [&](std::size_t k) { return k < factors.size() && g[factors[k]].is<terms::diag>(); };
  scan_form form;
  std::size_t k = at;
  for (; is_diag(k) && joins(k + 1); ++k) append(form.after, stream_factors_of(g, g[factors[k]].a));
  if (k == factors.size() || !g[factors[k]].is<terms::scan>() || !is_diagonal(g, g[factors[k]].a, form.decay))
    return std::nullopt;
  for (++k; is_diag(k) && joins(k); ++k) append(form.before, stream_factors_of(g, g[factors[k]].a));
  form.factors = k - at;
  return form;
}

std::optional<scan_form> scan_up_to(const workspace& g, const std::vector<node_index>& factors, std::size_t end,
                                    const std::function<bool(std::size_t)>& joins) {
  std::size_t at = end;
  while (at > 0 && g[factors[at - 1]].is<terms::diag>() && (at == end || joins(at))) --at;
  if (at == 0 || !g[factors[at - 1]].is<terms::scan>() || (at < end && !joins(at))) return std::nullopt;
  --at;
  while (at > 0 && g[factors[at - 1]].is<terms::diag>() && joins(at)) --at;
  const auto form = scan_from(g, factors, at, joins);
  return form && at + form->factors == end ? form : std::nullopt;
}

std::optional<gated_sum_form> gated_sum_up_to(const workspace& g, const std::vector<node_index>& factors,
                                              std::size_t end, const std::function<bool(std::size_t)>& joins) {
  if (end == 0 || !one_of<terms::sum, terms::paths>(g[factors[end - 1]].term)) return std::nullopt;
  const node& sum = g[factors[end - 1]];
  gated_sum_form form;
  if (is_diagonal(g, sum.b, form.inner))
    form.other = sum.a;
  else if (form.inner.clear(); is_diagonal(g, sum.a, form.inner))
    form.other = sum.b;
  else
    return std::nullopt;
  std::size_t at = end - 1;
  while (at > 0 && g[factors[at - 1]].is<terms::diag>() && joins(at)) --at;
  if (take_diagonals(g, factors, at, form.outer) != end - 1) return std::nullopt;
  form.factors = end - at;
  return form;
}

std::optional<gated_filter_form> gated_filter_from(const workspace& g, const std::vector<node_index>& factors,
                                                   std::size_t at, const std::function<bool(std::size_t)>& joins) {
  gated_filter_form form;
  std::size_t k = at;
  for (; k < factors.size() && g[factors[k]].is<terms::diag>() && joins(k + 1); ++k)
    append(form.gates, stream_factors_of(g, g[factors[k]].a));
  if (k == at || k == factors.size() || !g[factors[k]].is<terms::conv>()) return std::nullopt;
  form.filter = factors[k];
  form.factors = k + 1 - at;
  return form;
}

node_index as_inverse_row_sum(const workspace& g, node_index stream) {
  const node& n = g[stream];
  if (!n.is<terms::function>() || n.function != function_code<functions::reciprocal>) return absent;
  const node& sum = g[n.a];
  return sum.is<terms::applied>() && g[sum.b].is<terms::one>() ? sum.a : absent;
}

bool is_softmax(const workspace& g, const std::vector<node_index>& factors, std::size_t at) {
  if (at + 2 > factors.size() || !g[factors[at]].is<terms::diag>()) return false;
  const node_index p = factors[at + 1];
  return g[p].is<terms::attend>() && as_inverse_row_sum(g, g[factors[at]].a) == p;
}

}  // namespace alphaform
