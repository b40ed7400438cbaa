#include <fmt/core.h>
#include <fmt/ranges.h>

#include <alphaform/backends/engine/shapes.hpp>

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

/// Places the shape on the given slots, row-major.
template <class T>
view<const T> on(const T* data, const std::vector<std::size_t>& shape, std::initializer_list<axis> slots) {
  view<const T> v{data, single, {}};
  std::size_t k = 0;
  for (const axis a : slots) at(v.size, a) = shape[k++];
  std::size_t stride = 1;
  for (auto a = std::rbegin(slots); a != std::rend(slots); ++a) {
    at(v.stride, *a) = v.of(*a) == 1 ? 0 : stride;
    stride *= v.of(*a);
  }
  return v;
}

std::string text_of(const extents& e) {
  constexpr std::array letters{"T", "H", "C", "N", "R", "S"};
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

/// 1 and 0 interchanged: between stored sizes and open ones.
extents opened(extents e) {
  for (std::size_t& n : e) n = n == 1 ? 0 : n;
  return e;
}
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
  static const T nothing = 0;
  const parameter<T>* p = find_parameter(env, n);
  if (p == nullptr) return {&nothing, single, {}};
  std::string letters;
  std::size_t count = 0;
  for (const axis_letter& a : axis_letters)
    if (n.to.contains(a.axis)) {
      letters += a.letter;
      ++count;
    }
  const auto shape = squeezed(*p, count, n.id, "a stream over the axes [" + letters + "]");
  view<const T> v{p->data, single, {}};
  std::size_t k = 0;
  for (const axis_letter& a : axis_letters)
    if (n.to.contains(a.axis)) at(v.size, slot(a.axis)) = shape[k++];
  v.stride = contiguous(v.size);
  return v;
}

template <class T>
view<const T> matrix_parameter(const environment<T>& env, const node& n) {
  const parameter<T>* p = find_parameter(env, n);
  if (p == nullptr) throw user_error(fmt::format("the matrix '{}' is needed, but nothing is bound to this name", n.id));
  return on(p->data, squeezed(*p, 2, n.id, "a matrix [out, in]"), {axis::token, axis::head});
}

template <class T>
view<const T> taps_parameter(const environment<T>& env, const node& n) {
  const parameter<T>* p = find_parameter(env, n);
  if (p == nullptr) throw user_error(fmt::format("the filter '{}' is needed, but nothing is bound to this name", n.id));
  return on(p->data, squeezed(*p, 2, n.id, "a filter [C, K]"), {axis::chan, axis::rank});
}

template <class T>
shapes<T>::shapes(const workspace& g, const environment<T>& env) : g_(g), env_(env), known_(g.size) {
  for (const auto& [name, stream] : env.inputs) tokens_ = std::max(tokens_, stream.v.of(axis::token));
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
extents shapes<T>::of(node_index stream) {
  return closed(stored(stream));
}

template <class T>
extents shapes<T>::after(node_index p, const extents& in) {
  return closed(applied(p, opened(in), false));
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
  if (n.is<terms::one>() || n.is<terms::nothing>() || n.is<terms::inverse_size>()) return open;
  if (n.is<terms::function>()) return stored(n.a);
  if (n.is<terms::applied>()) return applied(n.a, stored(n.b), true);
  if (n.b == absent) throw internal_error(fmt::format("the stream term '{}' has no size", term_table[n.term].name));
  extents e = unified(stored(n.a), stored(n.b), fmt::format("'{}' meets '{}'", origin(g_, n.a), origin(g_, n.b)));
  if (n.is<terms::peak>() || n.is<terms::prior_peak>()) at(e, axis::token) = tokens_;
  return e;
}

template <class T>
extents shapes<T>::applied(node_index p, extents in, bool strict) {
  const node& n = g_[p];
  if (n.is<terms::scan>() || n.is<terms::conv>() || n.is<terms::delay>())
    at(in, axis::token) = tokens_;  // tokens differ from here on
  if (n.is<terms::product>()) return applied(n.a, applied(n.b, in, strict), strict);
  if (n.is<terms::sum>()) return unified(applied(n.a, in, strict), applied(n.b, in, strict), "a sum of operators");
  if (n.is<terms::scan>() || n.is<terms::rownorm>()) return applied(n.a, in, strict);
  if (n.is<terms::diag>()) return unified(stored(n.a), in, fmt::format("Diag of '{}'", origin(g_, n.a)));
  if (n.is<terms::conv>()) {
    extents filter = open;
    at(filter, axis::chan) = taps_parameter(env_, g_[n.a]).of(axis::chan);
    return unified(filter, in, fmt::format("the filter '{}'", g_[n.a].id));
  }
  if (n.is<terms::mix>()) return mixed(n, in);
  if (n.is<terms::contract>()) {
    for (const axis_letter& a : axis_letters) {
      if (!n.from.contains(a.axis)) continue;
      if (strict && at(in, slot(a.axis)) == 0)
        throw user_error(fmt::format(
            "a sum over the {} axis needs a stream that differs along it, but this one is only repeated", a.word));
      at(in, slot(a.axis)) = 0;
    }
  }
  return in;  // Identity, Zero, Delay; Expand repeats without storing
}

template <class T>
extents shapes<T>::mixed(const node& n, extents in) {
  const view<const T> w = matrix_parameter(env_, g_[n.a]);
  std::size_t& width = at(in, slot(n.from));
  if (w.of(axis::head) != width && !(width == 0 && w.of(axis::head) == 1))
    throw user_error(fmt::format("the matrix '{}' has the shape [{}, {}] but is applied to a stream with {} entries",
                                 g_[n.a].id, w.of(axis::token), w.of(axis::head), width));
  width = 0;
  at(in, slot(n.to)) = w.of(axis::token);
  return in;
}

template view<const float> stream_parameter(const environment<float>&, const node&);
template view<const double> stream_parameter(const environment<double>&, const node&);
template view<const float> matrix_parameter(const environment<float>&, const node&);
template view<const double> matrix_parameter(const environment<double>&, const node&);
template view<const float> taps_parameter(const environment<float>&, const node&);
template view<const double> taps_parameter(const environment<double>&, const node&);
template class shapes<float>;
template class shapes<double>;

}  // namespace alphaform
