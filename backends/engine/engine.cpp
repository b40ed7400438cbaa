// Whole streams and operators on whole streams: windows, and the threads that take them.
#include <alphaform/backends/engine/engine.hpp>
#include <alphaform/backends/parallel.hpp>
#include <alphaform/backends/plan/counting.hpp>

namespace alphaform {

namespace {
constexpr std::size_t fewest_tokens = 32, most_tokens = 256;

std::size_t lanes_of(const extents& size) {
  return at(size, axis::group) * at(size, axis::head) * at(size, axis::chan);
}

/// An operator with a matrix a head as state, which is worth loading for many tokens only.
bool reads_states(const workspace& g, node_index p) {
  return any_of(g, p, [](const node& n) { return n.is<terms::contract>() && n.from == state; });
}

template <class T>
bool same_owner(const tensor<T>& a, const tensor<T>& b) {
  return !a.owner.owner_before(b.owner) && !b.owner.owner_before(a.owner);
}
}  // namespace

template <class T>
engine<T>::engine(const workspace& g, const environment<T>& env, const kernels<T>& k, handed_on<T> carry)
    : g_(g),
      env_(env),
      k_(k),
      shapes_(g, env),
      programs_(g, shapes_),
      arena_(k),
      carry_(carry.by_token),
      stretch_(carry.by_stretch),
      shared_(needed_often(g)),
      steady_(made_of_parameters(g)) {}

// ---- what an operator allows

template <class T>
bool engine<T>::keeps_apart(node_index p, axes a) const {
  const node& n = g_[p];
  if (n.is<terms::mix>()) return !(n.from | n.to | (is_matrix(g_, n) ? g_[n.a].to : no_axes)).touches(a);
  if (n.is<terms::turn>()) return !n.to.touches(a);
  if (n.is<terms::contract>()) return !n.from.touches(a);
  if (n.is<terms::expand>()) return !n.to.touches(a);
  if (one_of<terms::product, terms::sum, terms::paths>(n.term)) return keeps_apart(n.a, a) && keeps_apart(n.b, a);
  if (one_of<terms::scan, terms::rownorm, terms::bounded_rownorm, terms::adjoint, terms::retimed>(n.term))
    return keeps_apart(n.a, a);
  return true;
}

template <class T>
bool engine<T>::within_tokens(node_index p) const {
  const signature s = signature_of(g_, p);
  return s.known && !s.mixes_tokens;
}

template <class T>
bool engine<T>::causal(node_index p) const {
  const node& n = g_[p];
  if (one_of<terms::reverse, terms::permute, terms::every_token, terms::over_tokens, terms::retimed>(n.term))
    return false;
  if (n.is<terms::adjoint>()) return within_tokens(n.a);
  if (one_of<terms::product, terms::sum, terms::paths>(n.term)) return causal(n.a) && causal(n.b);
  if (one_of<terms::scan, terms::rownorm, terms::bounded_rownorm>(n.term)) return causal(n.a);
  return true;
}

/// Can windows of tokens come one after the other, each with what the one before has left?
template <class T>
bool engine<T>::streams(node_index p) {
  const node& n = g_[p];
  if (one_of<terms::attend, terms::rownorm, terms::bounded_rownorm>(n.term)) return false;
  if (one_of<terms::product, terms::sum, terms::paths>(n.term)) return streams(n.a) && streams(n.b);
  if (n.is<terms::scan>()) return within_tokens(n.a);
  if (n.is<terms::conv>() && at(shapes_.of(n.a), axis::tap) > most_tokens) return false;  // would hand on too much
  return causal(p);
}

template <class T>
void engine<T>::needs_stretches(node_index p, bool transposed) {
  if (!in_token_windows(p, transposed))
    throw user_error("an operator of this layer needs the whole text: it cannot be run stretch by stretch");
}

/// Nothing but Diags and scans of them: as fast as memory is, and lane by lane the same in any window.
template <class T>
bool engine<T>::is_one_pass(node_index p) const {
  const node& n = g_[p];
  if (n.is<terms::product>()) return is_one_pass(n.a) && is_one_pass(n.b);
  alphaform::streams decay;
  return n.is<terms::diag>() || (n.is<terms::scan>() && is_diagonal(g_, n.a, decay));
}

template <class T>
bool engine<T>::in_token_windows(node_index p, bool transposed) {
  return streams(p) && !(transposed && !decodes() && sums_states(p));
}

template <class T>
std::optional<std::size_t> engine<T>::reach(node_index p) const {
  constexpr std::size_t most = 16;
  const node& n = g_[p];
  if (one_of<terms::identity, terms::diag, terms::expand>(n.term)) return 0;
  if (n.is<terms::delay>()) return 1;
  if (n.is<terms::conv>() && is_filter(g_[n.a])) {
    const std::size_t taps = stream_parameter(env_, g_[n.a]).of(axis::tap);
    return taps <= most ? std::optional(taps - 1) : std::nullopt;
  }
  if (!n.is<terms::product>()) return std::nullopt;
  const auto a = reach(n.a), b = reach(n.b);
  return a && b ? std::optional(*a + *b) : std::nullopt;
}

template <class T>
const std::vector<bool>& engine<T>::repeated_in(node_index p) {
  const std::lock_guard lock(keeping_);
  const auto found = repeated_.find(p);
  return found != repeated_.end() ? found->second : repeated_.emplace(p, repeated_within(g_, p)).first->second;
}

template <class T>
node_index engine<T>::stream_of(node_index p, node_index s) const {
  for (node_index i = 0; i < g_.size; ++i)
    if (g_[i].template is<terms::applied>() && g_[i].a == p && g_[i].b == s) return i;
  return absent;
}

template <class T>
bool engine<T>::has_matrix(node_index p) const {
  const node& n = g_[p];
  if (n.is<terms::mix>()) return is_matrix(g_, n);
  if (one_of<terms::product, terms::sum, terms::paths>(n.term)) return has_matrix(n.a) || has_matrix(n.b);
  return one_of<terms::scan, terms::adjoint>(n.term) && has_matrix(n.a);
}

// ---- windows

/// How the tokens and lanes of one pass are divided.
template <class T>
struct engine<T>::division final {
  axis lane_axis = axis::chan;
  std::size_t lanes = 1, lanes_at_once = 1;  // entries of that axis
  std::size_t tokens = 1, tokens_at_once = 1;
  bool in_order = true;     // windows of tokens hand something on
  std::size_t entries = 0;  // of all windows

  std::size_t lane_parts() const { return (lanes + lanes_at_once - 1) / lanes_at_once; }
  std::size_t token_parts() const { return (tokens + tokens_at_once - 1) / tokens_at_once; }
  window part(std::size_t lane, std::size_t token) const {
    const window w{token * tokens_at_once, std::min((token + 1) * tokens_at_once, tokens)};
    if (lanes_at_once >= lanes) return w;
    return w.with_lanes(lane_axis, lane * lanes_at_once, std::min((lane + 1) * lanes_at_once, lanes));
  }
};

/// About `at_once` of `all` lanes: as many as make the number of parts even, and a multiple of 16 where they are more.
template <class T>
std::size_t engine<T>::even_parts(std::size_t all, std::size_t at_once) {
  std::size_t parts = (all + at_once - 1) / at_once;
  if (parts > 1) parts += parts % 2;
  const std::size_t lanes = (all + parts - 1) / parts;
  return lanes < fewest_lanes ? lanes : (lanes + fewest_lanes - 1) / fewest_lanes * fewest_lanes;
}

template <class T>
std::size_t engine<T>::tasks_of(const division& d) {
  return d.lane_parts() * (d.in_order ? 1 : d.token_parts());
}

/// @param parts  of the lanes, if there are enough
template <class T>
typename engine<T>::division engine<T>::divided(node_index p, const extents& result, const extents& operand,
                                                bool transposed, std::size_t parts) {
  division d;
  d.tokens = tokens();
  const bool in_windows = p == absent || in_token_windows(p, transposed), within = p == absent || within_tokens(p),
             one_pass = p != absent && is_one_pass(p);
  d.in_order = !within;
  const extents size = alphaform::together(result, operand);
  if (k_.has_own_memory && volume(size) <= window_entries_) {
    d.tokens_at_once = tokens();
    d.entries = volume(size);
    return d;
  }
  const std::size_t all = lanes_of(size), most = one_pass ? most_lanes : usual_lanes,
                    wanted = in_windows ? std::clamp(all / parts, usual_lanes / 8, most)
                                        : std::clamp(window_entries_ / tokens(), fewest_lanes, usual_lanes);
  if (p != absent && !decodes() && all > wanted) {
    std::size_t behind = all;
    for (const auto& [a, letter] : {std::pair{axis::group, group}, {axis::head, head}, {axis::chan, chan}}) {
      behind /= at(size, a);
      if (at(size, a) == 1 || !keeps_apart(p, letter)) continue;
      const std::size_t n = even_parts(at(size, a), std::max<std::size_t>(wanted / behind, 1));
      if (n >= at(size, a)) continue;
      d.lane_axis = a;
      d.lanes = at(size, a);
      d.lanes_at_once = n;
      break;
    }
  }
  if (!in_windows) {
    d.tokens_at_once = tokens();
  } else {
    const std::size_t at_once = all / std::max<std::size_t>(d.lanes, 1) * d.lanes_at_once;
    d.tokens_at_once = std::clamp(window_entries_ / at_once, fewest_tokens, most_tokens);
    if (p != absent && window_entries_ == usual_window) {
      if (has_matrix(p) || one_pass || reads_states(g_, p)) d.tokens_at_once = most_tokens;
    }
  }
  d.tokens_at_once = std::min(d.tokens_at_once, tokens());
  d.entries = all * tokens();
  return d;
}

/// One window with kernels that only count: finds every stream that must be there whole, and the extents of the result.
/// It also makes these streams ask for their carried states before the operator does, whatever the number of tokens.
template <class T>
extents engine<T>::dry(node_index p, const source& from, bool transposed, const window& w) {
  const work_of_kernels before = counted_work();
  carried<T> nothing;
  evaluation<T> e(*this, counting_kernels<T>(k_.has_own_memory), decodes() ? &nothing : nullptr, true);
  const tensor<T> y = p == absent ? e.value(from.stream, w) : within(e, p, from, transposed, w, nullptr);
  counted_work() = before;
  return y.v.size;
}

/// P x or P' x within a window.
template <class T>
tensor<T> engine<T>::within(evaluation<T>& e, node_index p, const source& from, bool transposed, const window& w,
                            const tensor<T>* to) {
  if (!transposed && from.input != absent) return e.apply(p, from.input, w, to);
  const tensor<T> x = from.stream != absent ? e.value(from.stream, w) : w.of(from.x);
  return transposed ? e.adjoint(from.or_of_zeros(p, w), x, w, to) : e.apply(p, x, w, to);
}

/// An input of the graph is told from other stored streams: what P makes of it may be a stream of the graph too. While
/// states are carried, an operator asks for the same ones whatever it is applied to.
template <class T>
typename engine<T>::source engine<T>::source_of(const tensor<T>& x) const {
  for (node_index i = 0; !decodes() && i < g_.size; ++i) {
    if (!g_[i].template is<terms::input>()) continue;
    const auto found = env_.inputs.find(g_[i].id);
    if (found == env_.inputs.end()) continue;
    const view<T>& v = found->second.v;
    if (v.data == x.v.data && v.size == x.v.size && v.stride == x.v.stride) return {.x = x, .input = i};
  }
  return {x};
}

/// Task after task: side by side, but for kernels that only count, where each leaves something for the next, and where
/// there is too little to do for threads to pay.
template <class T>
void engine<T>::each_task(std::size_t tasks, std::size_t entries, const std::function<std::size_t(std::size_t)>& task) {
  std::size_t most = 0;
  std::mutex guard;
  const auto measured = [&](std::size_t i) {
    const entered<T> on(k_);
    const std::size_t peak = task(i);
    const std::lock_guard lock(guard);
    most = std::max(most, peak);
  };
  if (decodes() || entries < usual_window || k_.has_own_memory || only_counts(k_))
    for (std::size_t i = 0; i < tasks; ++i) measured(i);
  else
    parallel(tasks, measured);
  arena_.held_beside(most * (k_.has_own_memory ? 1 : std::min(tasks, threads())));
}

/// P x or P' x, each window handed to take(number of its part of the lanes, window, result). The result lies within
/// `to`, if there is one and the last operator can write there. Windows of the same lanes take up `states`, if there
/// are any.
template <class T>
template <class Take>
void engine<T>::each_window(node_index p, const source& from, bool transposed, const division& d, const tensor<T>* to,
                            carried_lanes<T>* states, const Take& take) {
  if (states != nullptr && d.in_order) {
    if (states->empty()) states->resize(d.lane_parts());
    if (states->size() != d.lane_parts()) throw internal_error("the lanes of a stretch are divided in another way");
  }
  each_task(tasks_of(d), d.entries, [&](std::size_t i) {
    carried<T> between;
    carried<T>* const carry = decodes()                           ? carry_
                              : states != nullptr && d.in_order   ? &(*states)[i]
                              : d.in_order && d.token_parts() > 1 ? &between
                                                                  : nullptr;
    evaluation<T> e(*this, k_, carry);
    const std::size_t place = decodes() ? carry_->place() : 0, windows = d.in_order ? d.token_parts() : 1;
    for (std::size_t k = 0; k < windows; ++k) {
      const std::size_t token = d.in_order ? (transposed ? windows - 1 - k : k) : i % d.token_parts(),
                        lanes = d.in_order ? i : i / d.token_parts();
      const window w = d.part(lanes, token);
      if (carry != nullptr) carry->go_to(place);
      const tensor<T> there = to != nullptr ? w.of(*to) : tensor<T>{};
      if (k + 1 < windows)
        e.expect(d.part(lanes, transposed ? token - 1 : token + 1), from.x);
      else
        k_.expect({});
      take(lanes, w, within(e, p, from, transposed, w, to != nullptr ? &there : nullptr));
      e.next_window();
    }
    return e.memory().count().peak;
  });
}

template <class T>
extents engine<T>::result_of(node_index p, const source& from, bool transposed) {
  const window first = in_token_windows(p, transposed) ? window{0, std::min<std::size_t>(2, tokens())} : everything();
  extents size = dry(p, from, transposed, first);
  if (at(size, axis::token) == first.tokens()) at(size, axis::token) = tokens();
  return size;
}

template <class T>
tensor<T> engine<T>::pass(node_index p, const source& from, bool transposed, number_format as,
                          carried_lanes<T>* states) {
  const typename remembered_by_all<T>::query asked(remembered());
  const extents size = result_of(p, from, transposed);
  const division d = divided(p, size, from.stream != absent ? shapes_.of(from.stream) : from.x.v.size, transposed,
                             is_one_pass(p) ? std::max<std::size_t>(2, threads()) : 2);
  const tensor<T> y = arena_.make(size, as);
  each_window(p, from, transposed, d, &y, states, [&](std::size_t, const window& w, const tensor<T>& part) {
    if (!same_owner(part, y)) k_.copy(part, w.of(y));
  });
  return y;
}

/// The lanes of every task have a sum of their own; these are added in order. Windows of the same lanes write to
/// different tokens of it.
template <class T>
tensor<T> engine<T>::lane_mean(node_index p, const tensor<T>& x, bool transposed, carried_lanes<T>* states) {
  if (states != nullptr) needs_stretches(p, transposed);
  const typename remembered_by_all<T>::query asked(remembered());
  const extents size = result_of(p, {x}, transposed), line = stream_extents(tokens(), 1);
  const division d = divided(p, size, x.v.size, transposed);
  const T weight = T(1) / static_cast<T>(lanes_of(size));
  std::vector<tensor<T>> sums;
  for (std::size_t i = 0; i < d.lane_parts(); ++i) sums.push_back(arena_.filled(line, 0));
  each_window(p, {x}, transposed, d, nullptr, states, [&](std::size_t lanes, const window& w, const tensor<T>& part) {
    const tensor<T> to = sums[lanes].slice(axis::token, w.token_begin, w.token_end);
    if (part.v.of(axis::token) == to.v.of(axis::token))
      k_.total(weight, false, part, to);
    else  // the same for every token
      for (std::size_t t = 0; t < w.tokens(); ++t) k_.total(weight, false, part, to.slice(axis::token, t, t + 1));
  });
  for (std::size_t i = 1; i < sums.size(); ++i) k_.plus(sums[0], sums[i], sums[0]);
  return sums[0];
}

/// In the engine's own memory, or at least counted there for as long as it lives.
template <class T>
tensor<T> engine<T>::moved_here(evaluation<T>& e, const tensor<T>& part) {
  if (k_.has_own_memory && part.home != nullptr) return arena_.counting(part);
  const tensor<T> y = arena_.make(part.v.size);
  k_.copy(part, y);
  arena_.held_beside(e.memory().count().peak);
  return y;
}

/// A pointwise stream, windows of tokens side by side.
template <class T>
tensor<T> engine<T>::in_windows(node_index i) {
  const typename remembered_by_all<T>::query asked(remembered());
  const extents size = shapes_.of(i);
  const bool at_once = at(size, axis::token) == 1 || decodes();
  dry(absent, {.stream = i}, false, at_once ? everything() : window{0, std::min<std::size_t>(2, tokens())});
  if (at_once) {
    evaluation<T> e(*this, k_, carry_);
    return moved_here(e, e.value(i, everything()));
  }
  const division d = divided(absent, size, size, false);
  const tensor<T> y = arena_.make(size);
  each_task(d.token_parts(), d.entries, [&](std::size_t k) {
    evaluation<T> e(*this, k_, nullptr);
    const window w = d.part(0, k);
    e.value_into(i, w, w.of(y));
    return e.memory().count().peak;
  });
  return y;
}

// ---- what is asked

/// Threads only look up: what their windows need has been asked for before, in a dry run.
template <class T>
const tensor<T>& engine<T>::kept(node_index i) {
  {
    const std::lock_guard lock(keeping_);
    if (const auto found = kept_.find(i); found != kept_.end()) return found->second;
  }
  const node& n = g_[i];
  carried_lanes<T>* const states = is_stretch() && !is_pointwise(g_, i) ? &(*stretch_)[i] : nullptr;
  tensor<T> y;
  if (is_pointwise(g_, i)) {
    y = in_windows(i);
  } else if (n.is<terms::peak>() || n.is<terms::prior_peak>()) {
    if (states != nullptr && states->empty()) states->resize(1);
    evaluation<T> e(*this, k_, states != nullptr ? &states->front() : carry_);
    if (states != nullptr) states->front().rewind();
    y = moved_here(e, e.peaks(n));
  } else {
    if (states != nullptr) needs_stretches(n.a, false);
    y = pass(n.a, {.stream = n.b}, false, number_format::whole, states);
  }
  const std::lock_guard lock(keeping_);
  return kept_.emplace(i, std::move(y)).first->second;
}

template <class T>
tensor<T> engine<T>::value(node_index i) {
  if (g_[i].is<terms::input>()) return env_.inputs.find(g_[i].id)->second;
  if (!is_pointwise(g_, i)) return kept(i);
  const compiled_stream& c = programs_.program(made_of::product, {i});
  const auto& code = c.program.instructions;
  const bool is_other = code.size() == 1 && code.front().is == pointwise::operation::load && c.reads.front() != i;
  return is_other && shapes_.of(c.reads.front()) == c.size ? value(c.reads.front()) : in_windows(i);
}

template <class T>
tensor<T> engine<T>::value(node_index i, const window& w) {
  evaluation<T> e(*this, k_, carry_);
  return e.value(i, w);
}

template <class T>
tensor<T> engine<T>::apply(node_index p, const tensor<T>& x) {
  return pass(p, source_of(x), false, x.v.format);
}
template <class T>
tensor<T> engine<T>::adjoint(node_index p, const tensor<T>& g) {
  return needs_stages(p) ? adjoint_in_stages(p, g) : pass(p, {g}, true, g.v.format);
}

/// The extents of P' x and of what is carried between windows.
template <class T>
std::pair<extents, std::vector<extents>> engine<T>::result_and_carried(node_index p, const tensor<T>& x) {
  const work_of_kernels before = counted_work();
  const window first{0, std::min<std::size_t>(2, tokens())};
  carried<T> between;
  evaluation<T> e(*this, counting_kernels<T>(k_.has_own_memory), &between, true);
  const extents result = e.adjoint(p, first.of(x), first).v.size;
  std::vector<extents> sizes;
  for (const tensor<T>& s : between.states()) sizes.push_back(s.v.size);
  counted_work() = before;
  return {result, sizes};
}
/// P without the Diags that its transpose begins with, if that changes no extents.
template <class T>
node_index engine<T>::without_weights(node_index p, const tensor<T>& x) {
  node_index rest = p;
  while (g_[rest].is<terms::product>() && g_[g_[rest].a].is<terms::diag>()) rest = g_[rest].b;
  return rest != p && result_and_carried(rest, x) == result_and_carried(p, x) ? rest : absent;
}

template <class T>
tensor<T> engine<T>::row(node_index p, std::size_t token) {
  extents size = single;
  at(size, axis::token) = tokens();
  const tensor<T> unit = arena_.make(size);
  k_.unit(token, unit);
  if (needs_stages(p)) return adjoint_in_stages(p, unit);
  if (k_.has_own_memory || decodes() || !in_token_windows(p, true)) return pass(p, {unit}, true);
  return pass(p, {.x = unit, .token = token, .of_zeros = without_weights(p, unit)}, true);
}

template <class T>
tensor<T> engine<T>::apply(node_index p, tensor<T> x, const window& w) {
  evaluation<T> e(*this, k_, carry_);
  tensor<T> y = e.apply(p, std::move(x), w);
  arena_.held_beside(e.memory().count().peak);
  return y;
}
template <class T>
tensor<T> engine<T>::adjoint(node_index p, tensor<T> g, const window& w) {
  evaluation<T> e(*this, k_, carry_);
  tensor<T> y = e.adjoint(p, std::move(g), w);
  arena_.held_beside(e.memory().count().peak);
  return y;
}

template class engine<float>;
template class engine<double>;

}  // namespace alphaform
