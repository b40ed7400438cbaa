// The transpose of an operator that keeps no lanes apart from end to end, because matrices stand between recurrences:
// each stage that does is divided along lanes, what comes out of it is whole, and the matrices get that.
#include <alphaform/backends/engine/sweep.hpp>
#include <alphaform/backends/plan/counting.hpp>

namespace alphaform {

namespace {

constexpr std::array lane_axes{group, head, chan};

bool is_sum(const node& n) { return one_of<terms::sum, terms::paths>(n.term); }

/// The operator, and all that it is a sum or product of.
void take_parts(const workspace& g, node_index p, std::set<node_index>& all) {
  const node& n = g[p];
  if (!all.insert(p).second) return;
  if (!is_sum(n) && !n.is<terms::product>()) return;
  take_parts(g, n.a, all);
  take_parts(g, n.b, all);
}

}  // namespace

/// Does P' sum over states, so that it wants all tokens at once?
template <class T>
bool engine<T>::sums_states(node_index p) {
  if (const auto known = sums_states_.find(p); known != sums_states_.end()) return known->second;
  std::set<node_index> parts;
  take_parts(g_, p, parts);
  bool any = false;
  for (const node_index i : parts) {
    if (!g_[i].template is<terms::product>()) continue;
    const spine s(g_, i);
    for (std::size_t k = 0; k < s.size() && !any; ++k)
      any = !unrolled_from(g_, s.factors, k) && state_branches_from(g_, s, k);
  }
  return sums_states_[p] = any;
}

/// Lanes that are kept apart at every stage need no stages.
template <class T>
bool engine<T>::needs_stages(node_index p) {
  if (decodes() || !sums_states(p)) return false;
  std::set<node_index> parts;
  take_parts(g_, p, parts);
  for (const node_index i : parts)  // of products in products the rest has no name
    if (g_[i].template is<terms::product>() && g_[g_[i].a].template is<terms::product>()) return false;
  for (const axes a : lane_axes)
    if (lanes_along(a) > 1 && keeps_apart(p, a)) return false;
  return true;
}

/// Entries that the inputs have along an axis.
template <class T>
std::size_t engine<T>::lanes_along(axes a) {
  std::size_t most = 1;
  for (const auto& [name, x] : env_.inputs) most = std::max(most, x.v.of(slot(a)));
  return most;
}

/// Does P' begin with what keeps an axis apart?
template <class T>
bool engine<T>::begins_apart(node_index p, axes a) const {
  const node& n = g_[p];
  if (is_sum(n)) return begins_apart(n.a, a) && begins_apart(n.b, a);
  return keeps_apart(n.is<terms::product>() ? n.a : p, a);  // a sum that is not last is taken as one factor
}

template <class T>
axes engine<T>::lane_of_stage(node_index p) {
  for (const axes a : lane_axes)
    if (lanes_along(a) > 1 && begins_apart(p, a)) return a;
  return no_axes;
}

template <class T>
tensor<T> engine<T>::adjoint_in_stages(node_index p, const tensor<T>& g) {
  std::map<node_index, tensor<T>, std::greater<>> pending{{p, g}};
  tensor<T> result;
  const auto arrive = [&](node_index at, const tensor<T>& y) {
    tensor<T>& there = at == absent ? result : pending[at];
    if (!there) {
      there = y;
      return;
    }
    const tensor<T> both = arena_.make(together(there.v.size, y.v.size));
    k_.plus(there, y, both);
    there = both;
  };
  while (!pending.empty()) {
    const auto [at, y] = *pending.begin();
    pending.erase(pending.begin());
    const node& n = g_[at];
    if (const axes lane = lane_of_stage(at); lane != no_axes) {
      for (const auto& [end, back] : stage(at, y, lane)) arrive(end, back);
    } else if (is_sum(n)) {
      arrive(n.a, y);
      arrive(n.b, y);
    } else {
      const bool factor = n.is<terms::product>();
      evaluation<T> e(*this, k_, nullptr);
      arrive(factor ? n.b : absent, moved_here(e, e.adjoint(factor ? n.a : at, y, everything())));
    }
  }
  return result;
}

/// Where a stage ends, and the extents of what comes back there; and the subterms to which more comes back later.
template <class T>
struct engine<T>::stage_ends final {
  std::map<sweep_end, extents> sizes;
  std::set<node_index> later;
};

/// By two runs on kernels that only count: the first may go too far.
template <class T>
typename engine<T>::stage_ends engine<T>::ends_of_stage(node_index p, const tensor<T>& g, axes lane) {
  using sweep = typename evaluation<T>::sweep;
  stage_ends s;
  const auto dry = [&](const std::set<node_index>* later) {
    const work_of_kernels before = counted_work();
    evaluation<T> e(*this, counting_kernels<T>(k_.has_own_memory), nullptr, true);
    const auto ends = sweep(e, everything(), {lane, later}).run(p, g);
    counted_work() = before;
    return ends;
  };
  for (const auto& [end, y] : dry(nullptr))
    if (end.at != absent) take_parts(g_, end.at, s.later);
  for (const auto& [end, y] : dry(&s.later)) s.sizes[end] = y.v.size;
  return s;
}

/// Lanes of a part of a stage: so few that all of its tokens make a usual window.
template <class T>
std::size_t engine<T>::lanes_of_stage(axes lane) {
  std::size_t behind = 1;
  for (const axes a : lane_axes)
    if (slot(a) > slot(lane)) behind *= lanes_along(a);
  const std::size_t all = lanes_along(lane);
  if (window_entries_ / tokens() >= all * behind) return all;
  const std::size_t wanted = std::clamp(window_entries_ / tokens(), fewest_lanes, usual_lanes) / behind;
  std::size_t n = std::max<std::size_t>(even_parts(all, std::max<std::size_t>(wanted, 1)), 2);
  while (n < all && all % n == 1) ++n;  // one entry alone would seem repeated
  return std::min(n, all);
}

/// From P on as far as the lanes are kept apart: what came back to the subterms where that ends. A task takes several
/// parts of the lanes one after the other, and has a sum of its own; how many there are depends on sizes only.
template <class T>
std::vector<std::pair<node_index, tensor<T>>> engine<T>::stage(node_index p, const tensor<T>& g, axes lane) {
  constexpr std::size_t most_tasks = 16;
  const axis lanes = slot(lane);
  const stage_ends ends = ends_of_stage(p, g, lane);
  const std::size_t all = lanes_along(lane), at_once = lanes_of_stage(lane), parts = (all + at_once - 1) / at_once,
                    tasks = std::min(parts, most_tasks);
  std::map<sweep_end, std::vector<tensor<T>>> results;  // one, or a sum for each task
  const bool in_parts = parts > 1 || !k_.has_own_memory;
  for (const auto& [end, size] : ends.sizes)
    if (in_parts)
      for (std::size_t i = 0; i < (end.summed ? tasks : 1); ++i)
        results[end].push_back(end.summed ? arena_.filled(size, 0) : arena_.make(size));
  each_task(tasks, volume(g.v.size), [&](std::size_t i) {
    evaluation<T> e(*this, k_, nullptr);
    for (std::size_t j = parts * i / tasks; j < parts * (i + 1) / tasks; ++j) {
      const window w = everything().with_lanes(lanes, j * at_once, std::min((j + 1) * at_once, all));
      for (const auto& [end, y] : typename evaluation<T>::sweep(e, w, {lane, &ends.later}).run(p, w.of(g))) {
        std::vector<tensor<T>>& to = results[end];
        if (!in_parts)
          to.push_back(moved_here(e, y));
        else if (end.summed)
          k_.plus(to[i], y, to[i]);
        else if (j == 0 || y.v.of(lanes) != 1)  // else it is the same for every lane
          k_.copy(y, w.of(to[0]));
      }
      e.next_window();
    }
    return e.memory().count().peak;
  });
  std::vector<std::pair<node_index, tensor<T>>> back;
  for (const auto& [end, list] : results) {
    for (std::size_t i = 1; i < list.size(); ++i) k_.plus(list[0], list[i], list[0]);
    back.emplace_back(end.at, list[0]);
  }
  return back;
}

template class engine<float>;
template class engine<double>;

}  // namespace alphaform
