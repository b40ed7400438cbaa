// Recurrences: an Unrolled in one kernel, a Scan of a Diag, any other Scan token by token, and their transposes.
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

namespace {

constexpr std::size_t scan_block = 256;

/// f(begin, end) for blocks of so many tokens, the last one first if `reversed`.
template <class F>
void each_block(std::size_t tokens, std::size_t at_once, bool reversed, F f) {
  const std::size_t blocks = (tokens + at_once - 1) / at_once;
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t begin = (reversed ? blocks - 1 - b : b) * at_once;
    f(begin, std::min(begin + at_once, tokens));
  }
}

}  // namespace

/// One kernel runs it where the streams store the state, and x has none; a rank one also needs channels that share it.
template <class T>
bool evaluation<T>::fits(const unrolled_form& u, const tensor<T>& x) {
  if (x.v.of(axis::state) != 1) return false;
  extents all = single;
  for (const streams* list : {&u.decay, &u.write, &u.read, u.p ? &*u.p : nullptr, u.q ? &*u.q : nullptr})
    if (list != nullptr)
      for (const node_index i : *list) all = alphaform::together(all, shapes_.of(i));
  return at(all, axis::state) != 1 && (!u.p || at(all, axis::chan) == 1);
}

template <class T>
tensor<T> evaluation<T>::unrolled(const unrolled_form& u, const tensor<T>& x, const window& w, bool transposed,
                                  const tensor<T>* to) {
  const tensor<T> whole = with_tokens(x, w);
  extents controls = single;
  const auto join = [&](const streams& list) {
    for (const node_index i : list) controls = alphaform::together(controls, w.of(shapes_.of(i)));
  };
  join(u.decay);
  join(u.write);
  join(u.read);
  for (const streams& b : u.bonus) join(b);
  if (u.p) join(*u.p), join(*u.q);
  extents state_size = alphaform::together(whole.v.size, controls), size = state_size;
  at(size, axis::state) = 1;
  at(state_size, axis::token) = 1;
  const tensor<T> y = place(size, to), h = state(state_size, 0);
  each_block(w.tokens(), tokens_at_once(w), transposed, [&](std::size_t begin, std::size_t end) {
    unrolled_part(u, whole.slice(axis::token, begin, end), h, y.slice(axis::token, begin, end),
                  w.at_tokens(w.token_begin + begin, w.token_begin + end), transposed);
  });
  return y;
}

/// Its decay, write and read.
template <class T>
recurrence<T> evaluation<T>::controls(const unrolled_form& u, const window& w, std::vector<tensor<T>>& keep) {
  recurrence<T> r;
  r.write = control(u.write, w, keep);
  r.read = control(u.read, w, keep);
  r.exclusive = u.exclusive;
  if (const streams exponent = exponent_of(g_, u); !exponent.empty()) {
    r.logarithmic = true;
    r.decay = control(exponent, w, keep);
    return r;
  }
  const tensor<T> one = keep.emplace_back(arena_.filled(single, 1)), change = keep.emplace_back(change_of(u.decay, w));
  const bool of_state = change.v.of(axis::state) != 1;
  r.decay = of_state ? factored<T>{one, change} : factored<T>{change, one};
  return r;
}

template <class T>
void evaluation<T>::unrolled_part(const unrolled_form& u, const tensor<T>& x, const tensor<T>& h, const tensor<T>& y,
                                  const window& w, bool transposed) {
  std::vector<tensor<T>> keep;
  recurrence<T> r = controls(u, w, keep);
  const bool in_kernel = !u.p && u.bonus.size() == 1;
  if (in_kernel) r.bonus = control(u.bonus.front(), w, keep);
  if (u.p) {
    const rank_one_recurrence<T> of{r, control(*u.p, w, keep), control(*u.q, w, keep)};
    (transposed ? k_.rank_one_adjoint : k_.rank_one)(of, x, h, y);
  } else {
    (transposed ? k_.unrolled_adjoint : k_.unrolled)(r, x, h, y);
  }
  if (in_kernel) return;
  for (const streams& bonus : u.bonus) {
    const tensor<T> term = arena_.make(y.v.size);
    k_.times(read_bonus(u, bonus, w), x, term);
    k_.plus(y, term, y);
  }
}

/// Contract Diag(read bonus write) Expand is a Diag: its stream.
template <class T>
tensor<T> evaluation<T>::read_bonus(const unrolled_form& u, const streams& bonus, const window& w) {
  streams all = bonus;
  all.insert(all.end(), u.read.begin(), u.read.end());
  all.insert(all.end(), u.write.begin(), u.write.end());
  return summed(product(all, w), alphaform::state);
}

// ---- an unrolled recurrence and what is pointwise around it

/// The backend has such a pass, and the factors of the states are as it takes them. That must not depend on how many
/// tokens there are, or what was carried here could not be taken up.
template <class T>
bool evaluation<T>::fits(const unrolled_pass_form& f, const tensor<T>& x) {
  const unrolled_form& u = f.core;
  const streams exponent = exponent_of(g_, u);
  if (k_.unrolled_pass == nullptr || exponent.empty() || u.p || u.exclusive || !u.bonus.empty() || !fits(u, x))
    return false;
  const auto for_all_tokens = [&](node_index i) { return whole_.steady(i); };
  const auto for_all_channels = [&](node_index i) {
    extents size = shapes_.of(i);
    for (const axis a : {axis::token, axis::group, axis::head, axis::state}) at(size, a) = 1;
    return volume(size) == 1;
  };
  const auto all = [](const streams& list, auto holds) { return std::all_of(list.begin(), list.end(), holds); };
  const streams write = shapes_.with_state(u.write), read = shapes_.with_state(u.read);
  if (!all(shapes_.with_state(exponent), for_all_tokens) ||
      !(all(write, for_all_tokens) || all(write, for_all_channels)) ||
      !(all(read, for_all_tokens) || all(read, for_all_channels)))
    return false;
  extents size = extents_of(f, x, whole_.everything());
  at(size, axis::token) = 1;
  const std::size_t states = at(size, axis::state);
  if (states > whole_.run().pass_states || volume(size) / states < whole_.run().pass_lanes) return false;
  const auto is_of_channels = [&](node_index i) { return at(shapes_.of(i), axis::chan) != 1; };
  return whole_.run().pass_for_heads || std::any_of(exponent.begin(), exponent.end(), is_of_channels);
}

/// Of x, of all streams and of the states, together.
template <class T>
extents evaluation<T>::extents_of(const unrolled_pass_form& f, const tensor<T>& x, const window& w) {
  extents size = x.v.size;
  const streams exponent = exponent_of(g_, f.core);
  for (const streams* list :
       {&f.outer, &f.after, &f.core.read, &exponent, &f.core.write, &f.before, &f.inner, &f.first})
    for (const node_index i : *list) size = alphaform::together(size, w.of(shapes_.of(i)));
  at(size, axis::token) = w.tokens();
  return size;
}

template <class T>
tensor<T> evaluation<T>::unrolled_pass(const unrolled_pass_form& f, const tensor<T>& x, const window& w,
                                       bool transposed, const tensor<T>* to) {
  const compiled_stream& c = whole_.programs().unrolled_program(f, transposed);
  extents size = extents_of(f, x, w), states = size;
  at(states, axis::token) = at(size, axis::state) = 1;
  const tensor<T> y = place(size, to), h = state(states, 0);
  const tensor<T> decay = product(shapes_.with_state(exponent_of(g_, f.core)), w),
                  write = product(shapes_.with_state(f.core.write), w),
                  read = product(shapes_.with_state(f.core.read), w);
  const state_factors<T> factors =
      transposed ? state_factors<T>{decay, read, write} : state_factors<T>{decay, write, read};
  std::vector<tensor<T>> keep;
  k_.unrolled_pass(c.program, factors, operands(c, w, {x}, keep), h, y);
  return y;
}

// ---- branches through states

/// One kernel sums them where the streams store the state and what is summed over, weights are no longer than states
/// along any axis, and x and g have no state.
template <class T>
bool evaluation<T>::fits(const state_branches& b, const tensor<T>& g) {
  if (g.v.of(axis::state) != 1 || (b.x != absent && at(shapes_.of(b.x), axis::state) != 1)) return false;
  extents size = alphaform::together(g.v.size, extents_of(b));
  at(size, axis::token) = whole_.tokens();
  for (const state_branch& branch : b.list) {
    for (const axis_letter& a : axis_letters)
      if (branch.over.contains(a.axis) && at(size, slot(a.axis)) == 1) return false;
    for (const node_index i : branch.weight)
      if (alphaform::together(size, shapes_.of(i)) != size) return false;
  }
  return at(size, axis::state) != 1;
}

/// Of the states, for all tokens and lanes.
template <class T>
extents evaluation<T>::extents_of(const state_branches& b) {
  extents size = b.x == absent ? single : shapes_.of(b.x);
  for (const streams* list : {&b.core.decay, &b.core.write, &b.core.read})
    for (const node_index i : *list) size = alphaform::together(size, shapes_.of(i));
  return size;
}

template <class T>
std::vector<tensor<T>> evaluation<T>::state_sums(const state_branches& b, const tensor<T>& g, const window& w) {
  std::vector<tensor<T>> keep, results;
  const recurrence<T> r = controls(b.core, w, keep);
  const tensor<T> x = b.x == absent ? arena_.filled(single, 0) : with_tokens(value(b.x, w), w),
                  back = with_tokens(g, w);
  const extents size = alphaform::together(back.v.size, w.of(extents_of(b)));
  std::vector<state_sum<T>> sums;
  for (const state_branch& branch : b.list) {
    if (!branch.of) {
      results.push_back(summed(scaled(branch.weight, back, w), branch.over));
      continue;
    }
    extents left = size;
    for (const axis_letter& a : axis_letters)
      if (branch.over.contains(a.axis)) at(left, slot(a.axis)) = 1;
    results.push_back(arena_.make(left));
    sums.push_back({*branch.of, control(branch.weight, w, keep), results.back()});
  }
  k_.unrolled_gradient(r, x, back, sums);
  return results;
}

// ---- scans

/// What the states of a scan are as large as, and its result would be if it were larger than they are.
template <class T>
std::pair<extents, extents> evaluation<T>::extents_of(const scan_form& s, const tensor<T>& x, const window& w,
                                                      bool transposed) {
  extents states = x.v.size;
  at(states, axis::token) = w.tokens();
  const auto join = [&](extents all, const streams& list) {
    for (const node_index i : list) all = alphaform::together(all, w.of(shapes_.of(i)));
    return all;
  };
  states = join(join(states, s.decay), transposed ? s.after : s.before);
  return {states, join(states, transposed ? s.before : s.after)};
}

/// In one pass, unless what its result is multiplied with is larger than its states.
template <class T>
tensor<T> evaluation<T>::scan(const scan_form& s, const tensor<T>& x, const window& w, bool transposed,
                              const tensor<T>* to) {
  const auto [states, size] = extents_of(s, x, w, transposed);
  if (states != size) {
    const scan_form alone = transposed ? scan_form{s.after, s.decay, {}, 0} : scan_form{{}, s.decay, s.before, 0};
    return scaled(transposed ? s.before : s.after, scan(alone, x, w, transposed, nullptr), w, to);
  }
  const tensor<T> y = place(size, to);
  extents state_size = size;
  at(state_size, axis::token) = 1;
  const tensor<T> h = state(state_size, 0);
  const compiled_stream& c = whole_.programs().scan_program(s, transposed);
  each_block(w.tokens(), tokens_at_once(w, scan_block), transposed, [&](std::size_t begin, std::size_t end) {
    const window part = w.at_tokens(w.token_begin + begin, w.token_begin + end);
    std::vector<tensor<T>> keep;
    k_.scan(c.program, operands(c, part, {x.slice(axis::token, begin, end)}, keep), h,
            y.slice(axis::token, begin, end));
  });
  return y;
}

template <class T>
tensor<T> evaluation<T>::scan(node_index transition, tensor<T> x, const window& w, bool transposed,
                              const tensor<T>* to) {
  scan_form s;
  if (is_diagonal(g_, transition, s.decay)) return scan(s, x, w, transposed, to);
  return token_by_token(transition, with_tokens(std::move(x), w), w, transposed);
}

/// h_t = P_t h_{t-1} + x_t for a P that works within a token; transposed, z_t = g_t + P_{t+1}' z_{t+1} from the last
/// token.
template <class T>
tensor<T> evaluation<T>::token_by_token(node_index p, tensor<T> x, const window& w, bool transposed) {
  if (!works_within_tokens(g_, p))
    throw user_error("Scan needs a transition that works within a token; this one mixes tokens");
  const auto by = [&](const tensor<T>& h, std::size_t t) {
    const window within = w.at_tokens(w.token_begin + t, w.token_begin + t + 1);
    return transposed ? adjoint(p, h, within) : apply(p, h, within);
  };
  // A state that is repeated along an axis at first is stored as soon as P tells its entries apart.
  extents size = x.v.size;
  at(size, axis::token) = 1;
  for (extents before{}; before != size;) {
    before = size;
    size = alphaform::together(size, by(arena_.filled(size, 0), 0).v.size);
  }
  const tensor<T> h = state(size, 0);
  at(size, axis::token) = w.tokens();
  const tensor<T> y = arena_.make(size);
  for (std::size_t i = 0; i < w.tokens(); ++i) {
    const std::size_t t = transposed ? w.tokens() - 1 - i : i;
    const tensor<T> row = y.slice(axis::token, t, t + 1), in = x.slice(axis::token, t, t + 1);
    if (transposed) {
      k_.plus(h, in, row);
      k_.copy(by(row, t), h);
    } else {
      k_.plus(by(h, t), in, row);
      k_.copy(row, h);
    }
  }
  return y;
}

/// P one token later in reversed time: P_{T-t} for t > 0, and 0 for the first token.
template <class T>
tensor<T> evaluation<T>::retimed(node_index p, tensor<T> x, const window& w, bool transposed) {
  x = with_tokens(std::move(x), w);
  std::optional<tensor<T>> y;
  for (std::size_t i = w.tokens(); i-- > 0;) {
    const std::size_t t = w.token_begin + i;
    if (t == 0) continue;
    const window there = w.at_tokens(whole_.tokens() - t, whole_.tokens() - t + 1);
    const tensor<T> in = x.slice(axis::token, i, i + 1);
    const tensor<T> part = transposed ? adjoint(p, in, there) : apply(p, in, there);
    if (!y) {
      extents size = part.v.size;
      at(size, axis::token) = w.tokens();
      y = arena_.filled(size, 0);
    }
    k_.copy(part, y->slice(axis::token, i, i + 1));
  }
  return y ? *y : arena_.filled(single, 0);
}

template class evaluation<float>;
template class evaluation<double>;

}  // namespace alphaform
