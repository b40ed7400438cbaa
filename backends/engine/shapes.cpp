#include <fmt/core.h>
#include <fmt/ranges.h>

#include <alphaform/backends/engine/shapes.hpp>
#include <cmath>
#include <utility>

namespace alphaform {

axis slot(axes a) {
  for (std::size_t k = 0; k < axis_letters.size(); ++k)
    if (axis_letters[k].axis == a) return every_axis[k + 1];
  throw internal_error("one axis was expected");
}

namespace {

template <class T>
const parameter<T>* find_parameter(const environment<T>& env, const node& n) {
  const auto found = env.parameters.find(n.id);
  if (found != env.parameters.end()) return &found->second;
  if (env.optional && env.optional(n.id)) return nullptr;
  throw user_error(fmt::format("the parameter '{}' is needed, but nothing is bound to this name", n.id));
}

/// The shape with entries of size 1 dropped until it has `wanted` entries.
template <class T>
std::vector<std::size_t> squeezed(const parameter<T>& p, std::size_t wanted, std::string_view name,
                                  std::string_view as) {
  std::vector<std::size_t> shape = p.shape;
  for (auto it = shape.begin(); it != shape.end() && shape.size() > wanted;) it = *it == 1 ? shape.erase(it) : it + 1;
  if (shape.size() != wanted)
    throw user_error(
        fmt::format("the parameter '{}' is used as {}, but has the shape [{}]", name, as, fmt::join(p.shape, ", ")));
  return shape;
}

std::string letters_of(axes some) {
  std::string letters;
  for (const axis_letter& a : axis_letters)
    if (some.contains(a.axis)) letters += a.letter;
  return letters;
}
std::vector<axis> slots_of(axes some) {
  std::vector<axis> slots;
  for (const axis_letter& a : axis_letters)
    if (some.contains(a.axis)) slots.push_back(slot(a.axis));
  return slots;
}

/// Places the shape on the given slots, row-major.
template <class T>
view<const T> on(const T* data, const std::vector<std::size_t>& shape, const std::vector<axis>& slots) {
  view<const T> v{data, single, {}};
  for (std::size_t k = 0; k < slots.size(); ++k) at(v.size, slots[k]) = shape[k];
  std::size_t stride = 1;
  for (auto a = slots.rbegin(); a != slots.rend(); ++a) {
    at(v.stride, *a) = v.of(*a) == 1 ? 0 : stride;
    stride *= v.of(*a);
  }
  return v;
}

std::string text_of(const extents& e) {
  constexpr std::array letters{"T", "G", "H", "C", "N", "R", "K", "Z", "S"};
  std::string s;
  for (std::size_t k = 0; k < axis_count; ++k)
    if (e[k] > 1) s += fmt::format("{}{} = {}", s.empty() ? "" : ", ", letters[k], e[k]);
  return "[" + s + "]";
}

/// The common extents of two operands, each of which may leave an axis open (0).
extents unified(const extents& a, const extents& b, std::string_view what) {
  extents e = a;
  for (std::size_t k = 0; k < axis_count; ++k) {
    if (e[k] == 0) e[k] = b[k];
    if (b[k] != 0 && b[k] != e[k])
      throw user_error(
          fmt::format("{}: the operands have {} and {}, and these do not fit together", what, text_of(a), text_of(b)));
  }
  return e;
}

constexpr extents open{};

/// Open sizes as stored ones.
extents closed(extents e) {
  for (std::size_t& n : e) n = n == 0 ? 1 : n;
  return e;
}

/// A parameter or input that occurs in the term, to name it in an error.
std::string origin(const workspace& g, node_index i) {
  std::string name;
  any_of(g, i, [&](const node& n) {
    if (n.is<terms::parameter>() || n.is<terms::input>()) name = n.id;
    return false;
  });
  return name;
}

}  // namespace

template <class T>
view<const T> stream_parameter(const environment<T>& env, const node& n) {
  const parameter<T>* p = find_parameter(env, n);
  if (p == nullptr) return {nullptr, single, {}};
  std::vector<axis> slots = slots_of(n.to - n.from);
  for (const axis a : slots_of(n.from)) slots.push_back(a);
  return on(p->for_kernels(), squeezed(*p, slots.size(), n.id, "a stream over the axes [" + letters_of(n.to) + "]"),
            slots);
}

template <class T>
view<const T> order_parameter(const environment<T>& env, const node& n, std::size_t tokens) {
  const parameter<T>* p = find_parameter(env, n);
  if (p == nullptr) throw user_error(fmt::format("the order '{}' is needed, but nothing is bound to this name", n.id));
  view<const T> order = on(p->data, squeezed(*p, 1, n.id, "an order of the tokens [T]"), {axis::token});
  std::vector<bool> seen(tokens, false);
  for (std::size_t t = 0; t < order.of(axis::token); ++t) {
    const T place = order.data[t * order.step(axis::token)];
    const bool fits = place >= 0 && place < static_cast<T>(tokens) && place == std::floor(place);
    if (!fits || seen[static_cast<std::size_t>(place)])
      throw user_error(fmt::format("the order '{}' should hold each of the tokens 0 to {} once, but has {} at place {}",
                                   n.id, tokens - 1, place, t));
    seen[static_cast<std::size_t>(place)] = true;
  }
  if (order.of(axis::token) != tokens)
    throw user_error(
        fmt::format("the order '{}' has {} entries, but the text has {} tokens", n.id, order.of(axis::token), tokens));
  order.data = p->for_kernels();
  return order;
}

bool is_matrix(const workspace& g, const node& n) {
  return g[n.a].is<terms::parameter>() && g[n.a].to.contains(n.to | n.from);
}

template <class T>
matrix_view<T> matrix_parameter(const workspace& g, const environment<T>& env, const node& n) {
  const node& weight = g[n.a];
  const parameter<T>* p = find_parameter(env, weight);
  if (p == nullptr)
    throw user_error(fmt::format("the matrix '{}' is needed, but nothing is bound to this name", weight.id));
  const axes other = weight.to - (n.to | n.from);
  const std::vector<axis> each = slots_of(other), rows = slots_of(n.to), columns = slots_of(n.from);
  const std::vector<std::size_t> shape =
      squeezed(*p, each.size() + rows.size() + columns.size(), weight.id,
               fmt::format("a matrix from the axes [{}] to [{}]{}", letters_of(n.from), letters_of(n.to),
                           other == no_axes ? "" : fmt::format(", one for each entry of [{}]", letters_of(other))));
  matrix_view<T> m;
  auto length = shape.begin();
  for (const axis a : each) at(m.each, a) = *length++;
  for (const axis a : rows) at(m.rows, a) = *length++;
  for (const axis a : columns) at(m.columns, a) = *length++;
  m.w = on(p->for_kernels(), {volume(m.rows), volume(m.columns)}, {axis::token, axis::head});
  return m;
}

template <class T>
std::size_t window_parameter(const environment<T>& env, const node& n) {
  constexpr auto all = static_cast<std::size_t>(-1);
  if (n.id.empty()) return all;
  const parameter<T>* p = find_parameter(env, {.id = n.id});
  if (p == nullptr) return all;
  if (!(*p->data >= 1))
    throw user_error(fmt::format("the window '{}' should be at least one token, but is {}", n.id, *p->data));
  return *p->data < T(1e9) ? static_cast<std::size_t>(*p->data) : all;
}

template <class T>
shapes<T>::shapes(const workspace& g, const environment<T>& env) : g_(g), env_(env), known_(g.size) {
  for (const auto& [name, stream] : env.inputs) tokens_ = std::max(tokens_, stream.v.of(axis::token));
}

template <class T>
bool shapes<T>::is_absent(node_index stream) const {
  return g_[stream].template is<terms::parameter>() && stream_parameter(env_, g_[stream]).data == nullptr;
}

template <class T>
std::size_t shapes<T>::entries(node_index stream, axes along) {
  std::size_t n = 1;
  for (const axis_letter& a : axis_letters) {
    if (!along.contains(a.axis)) continue;
    if (at(stored(stream), slot(a.axis)) == 0)
      throw user_error(fmt::format("a mean over the {} axis needs a stream that differs along it", a.word));
    n *= at(stored(stream), slot(a.axis));
  }
  return n;
}

template <class T>
std::size_t shapes<T>::length(axis a) {
  if (a == axis::token) return tokens_;
  if (a == axis::part) return 2;
  if (at(env_.lengths, a) != 0) return at(env_.lengths, a);
  std::size_t found = 0;
  const auto agree = [&](std::size_t n) {
    const std::string_view word = axis_letters[static_cast<std::size_t>(a) - 1].word;
    if (found != 0 && found != n)
      throw user_error(
          fmt::format("a sum over the {} axis needs a stream that differs along it, but this one is only "
                      "repeated, and the axis has {} entries in one place and {} in another",
                      word, found, n));
    found = n;
  };
  std::vector<bool> weights(g_.size, false);
  for (node_index i = 0; i < g_.size; ++i)
    if (g_[i].is<terms::mix>() && is_matrix(g_, g_[i]) && env_.parameters.contains(g_[g_[i].a].id)) {
      weights[g_[i].a] = true;
      const matrix_view<T> m = matrix_parameter(g_, env_, g_[i]);
      for (const axis b : slots_of(g_[i].to))
        if (a == b) agree(at(m.rows, a));
      for (const axis b : slots_of(g_[i].from))
        if (a == b) agree(at(m.columns, a));
      for (const axis b : slots_of(g_[g_[i].a].to - (g_[i].to | g_[i].from)))
        if (a == b) agree(at(m.each, a));
    }
  for (node_index i = 0; i < g_.size; ++i) {
    const node& n = g_[i];
    const bool input = n.is<terms::input>() && env_.inputs.contains(n.id),
               parameter = n.is<terms::parameter>() && !weights[i] && env_.parameters.contains(n.id);
    for (const axis b : slots_of(input || parameter ? n.to : no_axes))
      if (a == b) agree(input ? env_.inputs.find(n.id)->second.v.of(a) : stream_parameter(env_, n).of(a));
  }
  if (found == 0)
    throw user_error(
        fmt::format("a sum over the {} axis needs a stream that differs along it, but this one is only "
                    "repeated, and nothing says how often",
                    axis_letters[static_cast<std::size_t>(a) - 1].word));
  return found;
}

template <class T>
std::vector<node_index> shapes<T>::with_state(std::vector<node_index> streams, bool changed) {
  std::erase_if(streams, [&](node_index i) { return (at(of(i), axis::state) != 1) != changed; });
  return streams;
}

template <class T>
extents shapes<T>::of(node_index stream) {
  return closed(stored(stream));
}

template <class T>
const extents& shapes<T>::stored(node_index stream) {
  if (!known_[stream]) known_[stream] = find(stream);
  return *known_[stream];
}

template <class T>
extents shapes<T>::find(node_index i) {
  const node& n = g_[i];
  if (n.is<terms::input>() || n.is<terms::parameter>()) {
    extents e = open;
    extents size = single;
    if (n.is<terms::input>()) {
      const auto found = env_.inputs.find(n.id);
      if (found == env_.inputs.end())
        throw user_error(fmt::format("the input '{}' is needed, but nothing is bound to this name", n.id));
      size = found->second.v.size;
      at(e, axis::token) = at(size, axis::token);
    } else {
      if (find_parameter(env_, n) == nullptr) return open;
      size = stream_parameter(env_, n).size;
    }
    for (const axis_letter& a : axis_letters)
      if (n.to.contains(a.axis)) at(e, slot(a.axis)) = at(size, slot(a.axis));
    return e;
  }
  if (one_of<terms::number, terms::one, terms::nothing, terms::inverse_size>(n.term)) return open;
  if (n.is<terms::function>() || n.is<terms::held>()) return stored(n.a);
  if (n.is<terms::applied>()) return applied(n.a, stored(n.b), false);
  if (n.b == absent) throw internal_error(fmt::format("the stream term '{}' has no size", term_table[n.term].name));
  extents e = unified(stored(n.a), stored(n.b), fmt::format("'{}' meets '{}'", origin(g_, n.a), origin(g_, n.b)));
  if (n.is<terms::peak>() || n.is<terms::prior_peak>()) at(e, axis::token) = tokens_;
  return e;
}

/// What operator `p`, or its transpose, makes of a stream with the extents `in`.
template <class T>
extents shapes<T>::applied(node_index p, extents in, bool transposed) {
  const node& n = g_[p];
  if (n.is<terms::product>())
    return transposed ? applied(n.b, applied(n.a, in, true), true) : applied(n.a, applied(n.b, in, false), false);
  if (n.is<terms::sum>() || n.is<terms::paths>())
    return unified(applied(n.a, in, transposed), applied(n.b, in, transposed), "a sum of operators");
  if (n.is<terms::adjoint>()) return applied(n.a, in, !transposed);
  if (n.is<terms::zero>()) return open;
  if (n.is<terms::diag>()) return unified(stored(n.a), in, fmt::format("Diag of '{}'", origin(g_, n.a)));
  if (n.is<terms::mix>()) return mixed(n, in, transposed);
  if (n.is<terms::expand>()) return transposed ? summed(in, n.to) : in;  // Expand repeats without storing
  if (n.is<terms::contract>()) return transposed ? in : summed(in, n.from);
  if (n.is<terms::every_token>() || n.is<terms::over_tokens>()) {
    at(in, axis::token) = 0;
    return in;
  }
  if (n.is<terms::embed>() || n.is<terms::real>()) {
    at(in, axis::part) = n.is<terms::embed>() != transposed ? 2 : 0;
    return in;
  }
  if (n.is<terms::turn>()) {
    at(in, slot(n.to)) = turned(n, at(in, slot(n.to)));
    return in;
  }
  if (n.is<terms::rownorm>() || n.is<terms::bounded_rownorm>()) {
    const extents sums = applied(n.a, open, false);
    if (transposed) return applied(n.a, unified(in, sums, "a row normalisation"), true);
    return unified(applied(n.a, in, false), sums, "a row normalisation");
  }
  if (n.is<terms::retimed>()) return applied(n.a, in, transposed);
  if (one_of<terms::identity, terms::reverse, terms::permute>(n.term)) return in;
  at(in, axis::token) = tokens_;  // tokens differ from here on
  if (n.is<terms::scan>()) {
    // A state that is repeated at first is stored as soon as the transition tells its entries apart.
    const bool before = std::exchange(lenient_, true);
    const extents once = unified(applied(n.a, in, transposed), in, "a recurrence");
    const extents size = unified(applied(n.a, once, transposed), once, "a recurrence");
    lenient_ = before;
    return size;
  }
  if (n.is<terms::conv>() || n.is<terms::lags>()) {
    extents filter = stored(n.a);
    const std::size_t taps = at(filter, axis::tap);
    at(filter, axis::tap) = n.is<terms::lags>() && transposed ? taps : 0;
    in = unified(filter, in, fmt::format("the filter '{}'", origin(g_, n.a)));
    at(in, axis::tap) = n.is<terms::lags>() && !transposed ? taps : 0;
    return in;
  }
  if (n.is<terms::attend>()) {
    extents pair = unified(stored(n.a), stored(n.b), "queries and keys");
    at(pair, axis::state) = 0;
    at(pair, axis::token) = tokens_;
    return unified(pair, in, "attention");
  }
  return in;  // Delay
}

template <class T>
std::size_t shapes<T>::turned(const node& n, std::size_t stored) {
  const axis a = slot(n.to);
  const std::size_t entries = stored != 0 ? stored : length(a);
  if (entries % 2 != 0)
    throw user_error(fmt::format("a quarter turn pairs the entries of the {} axis, but there are {}, an odd number",
                                 axis_letters[static_cast<std::size_t>(a) - 1].word, entries));
  return entries;
}

template <class T>
extents shapes<T>::summed(extents in, axes over) {
  for (const axis a : slots_of(over)) {
    if (at(in, a) == 0 && !lenient_) length(a);
    at(in, a) = 0;
  }
  return in;
}

template <class T>
extents shapes<T>::mixed(const node& n, extents in, bool transposed) {
  const axes consumed = transposed ? n.to : n.from, made = transposed ? n.from : n.to;
  if (!is_matrix(g_, n)) {
    if (n.to.touches(n.from))
      throw user_error("a matrix that is no parameter can be applied only from one axis to another");
    return summed(unified(stored(n.a), in, fmt::format("the matrix of '{}'", origin(g_, n.a))), consumed);
  }
  const matrix_view<T> m = matrix_parameter(g_, env_, n);
  extents each = open;
  for (const axis a : slots_of(g_[n.a].to - (n.to | n.from))) at(each, a) = at(m.each, a);
  in = unified(each, in, fmt::format("the matrices of '{}'", origin(g_, n.a)));
  for (const axis a : slots_of(consumed)) {
    const std::size_t width = at(transposed ? m.rows : m.columns, a);
    if (at(in, a) != width && at(in, a) != 0)
      throw user_error(
          fmt::format("the matrix '{}' has the shape [{}, {}] but is applied to a stream with {} entries{}", g_[n.a].id,
                      m.w.of(axis::token), m.w.of(axis::head), at(in, a), transposed ? " as its transpose" : ""));
    at(in, a) = 0;
  }
  for (const axis a : slots_of(made)) at(in, a) = at(transposed ? m.columns : m.rows, a);
  return in;
}

extents whole_extents(extents size, axes has, const extents& lengths) {
  for (const axes a : {group, head})
    if (has.contains(a) && at(size, slot(a)) == 1) at(size, slot(a)) = std::max<std::size_t>(1, at(lengths, slot(a)));
  return size;
}

template <class T>
tensor<T> stored_whole(const tensor<T>& x, axes has, const extents& lengths, const kernels<T>& k) {
  const extents size = whole_extents(x.v.size, has, lengths);
  if (size == x.v.size) return x;
  const tensor<T> y = arena<T>(k).make(size);
  k.copy(x, y);
  return y;
}

template tensor<float> stored_whole(const tensor<float>&, axes, const extents&, const kernels<float>&);
template tensor<double> stored_whole(const tensor<double>&, axes, const extents&, const kernels<double>&);
template view<const float> stream_parameter(const environment<float>&, const node&);
template view<const double> stream_parameter(const environment<double>&, const node&);
template view<const float> order_parameter(const environment<float>&, const node&, std::size_t);
template view<const double> order_parameter(const environment<double>&, const node&, std::size_t);
template matrix_view<float> matrix_parameter(const workspace&, const environment<float>&, const node&);
template matrix_view<double> matrix_parameter(const workspace&, const environment<double>&, const node&);
template std::size_t window_parameter(const environment<float>&, const node&);
template std::size_t window_parameter(const environment<double>&, const node&);
template class shapes<float>;
template class shapes<double>;

}  // namespace alphaform
