#include <algorithm>
#include <alphaform/backends/engine/state_branches.hpp>

namespace alphaform {

namespace {

/// h = Scan(a) Diag(b) Expand x, or Delay h.
struct state_stream final {
  streams decay, write;
  node_index x = absent;
  bool delayed = false;
};
std::optional<state_stream> as_state(const workspace& g, node_index i) {
  if (!g[i].is<terms::applied>()) return std::nullopt;
  state_stream s;
  std::vector<node_index> f = factors_of(g, g[i].a);
  for (s.x = g[i].b; g[s.x].is<terms::applied>() && !g[f.back()].is<terms::expand>(); s.x = g[s.x].b) {
    const std::vector<node_index> more = factors_of(g, g[s.x].a);
    f.insert(f.end(), more.begin(), more.end());
  }
  std::size_t k = 0;
  if (g[f[k]].is<terms::delay>()) s.delayed = true, ++k;
  if (k + 2 > f.size() || !g[f[k]].is<terms::scan>() || !is_diagonal(g, g[f[k]].a, s.decay)) return std::nullopt;
  k = take_diagonals(g, f, k + 1, s.write);
  if (k + 1 != f.size() || !g[f[k]].is<terms::expand>() || g[f[k]].to != state) return std::nullopt;
  return s;
}

/// Follows all branches and holds what they have in common.
class search final {
 public:
  explicit search(const workspace& g) : g_(g) {}
  state_branches found;

  struct path final {
    streams before, after;  // of Diags left and right of the Scan
    bool scanned = false, exclusive = false;
    std::optional<state_stream> held;
  };

  /// Follows a product from factor k on.
  bool follow(const spine& s, std::size_t k, path p) {
    for (; k < s.size(); ++k) {
      const node& n = g_[s.factors[k]];
      const bool last = k + 1 == s.size();
      if (n.is<terms::diag>()) {
        if (!take_diagonal(n.a, p)) return false;
      } else if (n.is<terms::delay>() && !p.scanned && !last && g_[s.factors[k + 1]].is<terms::scan>()) {
        p.exclusive = true;
      } else if (n.is<terms::scan>() && !p.scanned) {
        if (!take_scan(s.factors[k], p)) return false;
      } else if (n.is<terms::expand>()) {
        return end(n.to, last ? absent : s.suffix[k + 1], last, p);
      } else if (last && one_of<terms::sum, terms::paths>(n.term)) {
        return follow(spine(g_, n.a), 0, p) && follow(spine(g_, n.b), 0, p);
      } else {
        return false;
      }
    }
    return false;
  }

 private:
  bool take_diagonal(node_index stream, path& p) {
    for (const node_index i : stream_factors_of(g_, stream)) {
      if (const auto h = as_state(g_, i)) {
        if (p.held) return false;
        p.held = h;
      } else {
        (p.scanned ? p.after : p.before).push_back(i);
      }
    }
    return true;
  }
  bool take_scan(node_index scan, path& p) {
    p.scanned = true;
    streams decay;
    return is_diagonal(g_, g_[scan].a, decay) && agrees(has_decay_, found.core.decay, decay);
  }
  /// All branches have the same recurrence.
  template <class Value>
  static bool agrees(bool& known, Value& all, const Value& here) {
    if (!known) all = here;
    return std::exchange(known, true) ? all == here : true;
  }

  bool end(axes over, node_index rest, bool last, path& p) {
    if (rest == absent && !last) return false;
    using product = state_product;
    state_branch b{std::nullopt, {}, over, rest};
    if (p.held) {
      if (!agrees(has_decay_, found.core.decay, p.held->decay) ||
          !agrees(has_write_, found.core.write, p.held->write) || !agrees(has_x_, found.x, p.held->x))
        return false;
      b.of = p.held->delayed ? product::read_before : product::read;
    }
    b.weight = p.after;
    if (p.scanned) {
      if (p.held && !p.held->delayed) return false;
      std::sort(p.before.begin(), p.before.end());
      if (!agrees(found.reads_scan, found.core.read, p.before) || !agrees(has_lag_, found.core.exclusive, p.exclusive))
        return false;
      b.of = !p.held ? product::written : take_decay(b.weight) ? product::decayed : product::kept;
    } else {
      b.weight.insert(b.weight.end(), p.before.begin(), p.before.end());
    }
    found.list.push_back(std::move(b));
    return true;
  }
  /// Takes the decay out of a product of streams, if it is there.
  bool take_decay(streams& weight) const {
    streams rest = weight;
    for (const node_index i : found.core.decay) {
      const auto at = std::find(rest.begin(), rest.end(), i);
      if (at == rest.end()) return false;
      rest.erase(at);
    }
    weight = rest;
    return !found.core.decay.empty();
  }

  const workspace& g_;
  bool has_decay_ = false, has_write_ = false, has_x_ = false, has_lag_ = false;
};

}  // namespace

std::optional<state_branches> state_branches_from(const workspace& g, const spine& s, std::size_t k) {
  if (k >= s.size() || !g[s.factors[k]].is<terms::contract>() || g[s.factors[k]].from != state) return std::nullopt;
  search all(g);
  if (!all.follow(s, k + 1, {})) return std::nullopt;
  const bool has_states = all.found.reads_scan || all.found.x != absent;
  return has_states ? std::optional(std::move(all.found)) : std::nullopt;
}

}  // namespace alphaform
