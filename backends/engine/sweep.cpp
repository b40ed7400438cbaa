#include <alphaform/backends/engine/sweep.hpp>

namespace alphaform {

namespace {
bool branches(const node& n) { return one_of<terms::product, terms::sum, terms::paths>(n.term); }
}  // namespace

template <class T>
tensor<T> evaluation<T>::adjoint(node_index p, tensor<T> g, const window& w, const tensor<T>* to) {
  if (!branches(g_[p])) return step(p, std::move(g), w, true, to);
  return sweep(*this, w).run(p, std::move(g), to).begin()->second;
}

template <class T>
typename evaluation<T>::sweep::ends evaluation<T>::sweep::run(node_index p, tensor<T> g, const tensor<T>* to) {
  to_ = to;
  repeated_ = &e_.whole_.repeated_in(p);
  pending_[p] = std::move(g);
  while (!pending_.empty()) {
    const node_index at = pending_.begin()->first;
    tensor<T> y = std::move(pending_.begin()->second);
    pending_.erase(pending_.begin());
    const node& n = g_[at];
    if (n.is<terms::product>()) {
      through_product(at, std::move(y));
    } else if (branches(n)) {
      arrive(n.a, y);
      arrive(n.b, y);
    } else if (crosses_lanes(at)) {
      add(ends_, {at}, std::move(y));
    } else {
      arrive(absent, e_.step(at, std::move(y), w_, true, is_only_path() ? to_ : nullptr));
    }
  }
  return std::move(ends_);
}

template <class T>
bool evaluation<T>::sweep::crosses_lanes(node_index p) const {
  return limits_.lane != no_axes && !e_.whole_.keeps_apart(p, limits_.lane);
}

template <class T>
void evaluation<T>::sweep::add(ends& to, sweep_end at, tensor<T> y) {
  const auto [found, is_new] = to.try_emplace(at, y);
  if (!is_new) found->second = e_.together(found->second, y);
}

template <class T>
void evaluation<T>::sweep::arrive(node_index at, tensor<T> y, bool summed) {
  if (at == absent || summed || (limits_.later != nullptr && limits_.later->contains(at)))
    return add(ends_, {at, summed}, std::move(y));
  const auto [found, is_new] = pending_.try_emplace(at, y);
  if (!is_new) found->second = e_.together(found->second, y);
}

/// Does more come back to this subterm than by one way?
template <class T>
bool evaluation<T>::sweep::meets_others(node_index p) const {
  return p != absent && ((*repeated_)[p] || (limits_.later != nullptr && limits_.later->contains(p)));
}

template <class T>
bool evaluation<T>::sweep::has_all_tokens() const {
  return e_.carry_ == nullptr && w_.token_begin == 0 && w_.token_end == e_.whole_.tokens();
}

/// All branches right of a Contract at once.
template <class T>
bool evaluation<T>::sweep::through_branches(const spine& s, std::size_t k, const tensor<T>& y) {
  if (!has_all_tokens()) return false;
  const auto b = state_branches_from(g_, s, k);
  if (!b || !e_.fits(*b, y)) return false;
  const std::vector<tensor<T>> sums = e_.state_sums(*b, y, w_);
  for (std::size_t i = 0; i < sums.size(); ++i) arrive(b->list[i].rest, sums[i], b->list[i].over.touches(limits_.lane));
  return true;
}

/// From a place of a product on, if there is one that is taken as one.
template <class T>
std::optional<gated_filter_form> evaluation<T>::sweep::gated_filter(
    const spine& s, std::size_t k, const std::function<bool(std::size_t)>& joins) const {
  const auto f = has_all_tokens() ? gated_filter_from(g_, s.factors, k, joins) : std::nullopt;
  return f && e_.fits(*f) ? f : std::nullopt;
}

template <class T>
void evaluation<T>::sweep::through_product(node_index p, tensor<T> y) {
  const spine s(g_, p);
  const auto joins = [&](std::size_t j) { return j < s.size() && !meets_others(s.suffix[j]); };
  const auto joins_of_passes = [&](std::size_t j) { return joins(j) && !gated_filter(s, j, joins); };
  for (std::size_t k = 0; k < s.size();) {
    const node_index f = s.factors[k];
    const bool branching = k + 1 == s.size() && branches(g_[f]), crosses = !branching && crosses_lanes(f),
               sums = crosses && g_[f].template is<terms::expand>();
    if (crosses && !sums) return add(ends_, {s.suffix[k]}, std::move(y));
    if (k > 0 && s.suffix[k] != absent && (branching || meets_others(s.suffix[k])))
      return arrive(s.suffix[k], std::move(y));
    // Where so many factors are the rest, and nothing else comes back.
    const auto to = [&](std::size_t factors) { return k + factors == s.size() && is_only_path() ? to_ : nullptr; };
    if (const auto filter = gated_filter(s, k, joins)) {
      y = e_.filtered_back(*filter, std::move(y), w_, to(filter->factors));
      k += filter->factors;
    } else if (const auto pass = unrolled_pass_from(g_, s.factors, k, joins_of_passes); pass && e_.fits(*pass, y)) {
      y = e_.unrolled_pass(*pass, y, w_, true, to(pass->factors));
      k += pass->factors;
    } else if (const auto u = unrolled_from(g_, s.factors, k); u && e_.fits(*u, y)) {
      y = e_.unrolled(*u, y, w_, true, to(u->factors));
      k += u->factors;
    } else if (const auto scanned = scan_from(g_, s.factors, k, joins_of_passes)) {
      y = e_.scan(*scanned, y, w_, true, to(scanned->factors));
      k += scanned->factors;
    } else if (is_softmax(g_, s.factors, k)) {
      y = e_.attended(g_[s.factors[k + 1]], true, std::move(y), w_, true);
      k += 2;
    } else if (through_branches(s, k, y)) {
      return;
    } else {
      const bool of_all_lanes = sums && y.v.of(slot(limits_.lane)) == 1;
      y = e_.adjoint(f, std::move(y), w_, to(1));
      k += 1;
      if (sums && !of_all_lanes) return arrive(k == s.size() ? absent : s.suffix[k], std::move(y), true);
    }
  }
  arrive(absent, std::move(y));
}

template class evaluation<float>;
template class evaluation<double>;

}  // namespace alphaform
