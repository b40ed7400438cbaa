#include <fmt/core.h>

#include <algorithm>
#include <alphaform/algebra/print.hpp>
#include <alphaform/backends/jacobian.hpp>

namespace alphaform {

std::vector<const derivative_formula*> bound_derivatives::all_of(std::string_view name) const {
  if (std::find(left_out.begin(), left_out.end(), name) != left_out.end())
    throw user_error(
        fmt::format("there is no derivative with respect to '{}': it is a square matrix or an order of the tokens, at "
                    "least in one place",
                    name));
  std::vector<const derivative_formula*> found;
  std::string known;
  for (const derivative_formula& f : of) {
    if (f.name == name) found.push_back(&f);
    known += fmt::format("{}'{}'", known.empty() ? "" : ", ", f.name);
  }
  if (found.empty())
    throw user_error(fmt::format("there is no derivative with respect to '{}'; there are those to {}", name,
                                 known.empty() ? "nothing" : known));
  return found;
}

const derivative_formula& bound_derivatives::with_respect_to(std::string_view name) const {
  const std::vector<const derivative_formula*> found = all_of(name);
  if (found.size() > 1)
    throw user_error(
        fmt::format("'{}' occurs with several axes, so that no single stream is its change; a parameter still has a "
                    "gradient",
                    name));
  return *found.front();
}

namespace {

/// Rewrites derivatives of one stream.
class differentiator final {
 public:
  differentiator(workspace& g, node_index y) : g_(g), y_(y) {}

  node_index full(node_index v) { return checked(differentiated(marked<terms::derivative>(g_, y_, v))); }

  /// H and the paths; nothing where the value path is refused.
  void split(derivative_formula& f) {
    const node_index h = exhaust(g_, marked<terms::frozen>(g_, y_, f.variable),
                                 only(rule_class::canonical, rule_class::frozen, rule_class::mathematical));
    if (left_over(g_, h) != absent) return;
    f.implicit = h;
    const node_index controls = exhaust(g_, marked<terms::controls>(g_, y_, f.variable),
                                        only(rule_class::canonical, rule_class::controls, rule_class::splitting));
    if (g_[controls].is<terms::zero>()) return;
    buffer<node_index> list;
    flatten<terms::paths>(g_, controls, list);
    for (const node_index i : list) {
      const node_index marker = left_over(g_, i);
      f.paths.push_back({marker == absent ? absent : g_[marker].a, checked(differentiated(i))});
    }
  }

 private:
  node_index differentiated(node_index i) { return exhaust(g_, i, differentiating, seen_); }
  node_index checked(node_index i) const {
    if (const node_index marker = left_over(g_, i); marker != absent)
      throw user_error(fmt::format("there is no derivative of {}", print(term_view(g_, g_[marker].a), notation::text)));
    return i;
  }

  workspace& g_;
  node_index y_;
  memo seen_;
};

bool is_order(const term_view& y, node_index parameter) {
  return occurs(y, [parameter](const node& n) { return n.is<terms::permute>() && n.a == parameter; });
}
/// A matrix between streams that have an axis in common is no stream: rows and columns need that axis both.
bool is_square(const term_view& y, node_index parameter) {
  return occurs(y,
                [parameter](const node& n) { return n.is<terms::mix>() && n.a == parameter && n.from.touches(n.to); });
}

}  // namespace

bound_derivatives derivatives_of(const term_view& y, wanted_derivatives wanted) {
  workspace g;
  const node_index out = taken(g, y);
  differentiator d(g, out);
  std::vector<derivative_formula> list;
  std::vector<std::string_view> left_out;
  const std::vector<node_index> parts = parts_of({g, out});
  const auto is_left_out = [&](std::string_view name) {
    return std::find(left_out.begin(), left_out.end(), name) != left_out.end();
  };
  for (const node_index i : parts)
    if (wanted.parameters && g[i].is<terms::parameter>() && !is_left_out(g[i].id) &&
        (is_square({g, out}, i) || is_order({g, out}, i)))
      left_out.push_back(g[i].id);
  for (const node_index i : parts) {
    const node n = g[i];
    const bool parameter = wanted.parameters && n.is<terms::parameter>() && !is_left_out(n.id);
    if (!n.is<terms::input>() && !parameter) continue;
    list.push_back({n.id, i, d.full(i)});
    if (n.is<terms::input>() && wanted.paths) d.split(list.back());
  }
  bound_derivatives b;
  buffer<node_index> copied(g.size, absent);
  const auto keep = [&](node_index& i) { i = copy_term(b.g, g, i, copied); };
  b.output = out;
  keep(b.output);
  for (derivative_formula& f : list) {
    keep(f.variable);
    keep(f.full);
    keep(f.implicit);
    for (derivative_formula::path& p : f.paths) {
      keep(p.control);
      keep(p.operation);
    }
  }
  b.of = std::move(list);
  b.left_out = std::move(left_out);
  return b;
}

template <class T>
true_derivative<T>::true_derivative(const bound_derivatives& formula, environment<T> env, const kernels<T>& backend)
    : f_(formula), env_(placed_on(backend, std::move(env))), backend_(backend), engine_(f_.g, env_, backend_) {}

template <class T>
tensor<T> true_derivative<T>::whole(const tensor<T>& x, const extents& size) {
  if (x.v.size == size && x.v.stride == contiguous(size)) return x;
  for (std::size_t k = 0; k < axis_count; ++k)
    if (x.v.size[k] != 1 && x.v.size[k] != size[k]) throw internal_error("a derivative has another size than expected");
  const tensor<T> y = engine_.memory().make(size);
  backend_.copy(x, y);
  return y;
}

template <class T>
extents true_derivative<T>::size_of(node_index stream) {
  extents size = whole_extents(engine_.sizes().of(stream), f_.g[stream].to, env_.lengths);
  if (!f_.g[stream].template is<terms::parameter>()) at(size, axis::token) = engine_.tokens();
  return size;
}

template <class T>
tensor<T> true_derivative<T>::output() {
  const entered<T> on(backend_);
  return whole(engine_.value(f_.output), size_of(f_.output));
}

template <class T>
tensor<T> true_derivative<T>::forward(const derivative_formula& f, node_index operation, const tensor<T>& v) {
  if (v.v.size != size_of(f.variable))
    throw user_error(fmt::format("the derivative with respect to '{}' needs a stream of its size", f.name));
  const entered<T> on(backend_);
  return whole(engine_.apply(operation, v), size_of(f_.output));
}

template <class T>
tensor<T> true_derivative<T>::backward(const derivative_formula& f, node_index operation, const tensor<T>& g) {
  if (g.v.size != size_of(f_.output))
    throw user_error(
        fmt::format("the transposed derivative with respect to '{}' needs a stream of the result's size", f.name));
  const entered<T> on(backend_);
  return whole(engine_.adjoint(operation, g), size_of(f.variable));
}

template <class T>
tensor<T> true_derivative<T>::forward(std::string_view name, const tensor<T>& v) {
  const derivative_formula& f = f_.with_respect_to(name);
  return forward(f, f.full, v);
}

template <class T>
tensor<T> true_derivative<T>::backward(std::string_view name, const tensor<T>& g) {
  const derivative_formula& f = f_.with_respect_to(name);
  return backward(f, f.full, g);
}

template <class T>
std::vector<T> true_derivative<T>::gradient(std::string_view name, const tensor<T>& g) {
  std::vector<T> numbers;
  const std::vector<const derivative_formula*> all = f_.all_of(name);
  if (!env_.parameters.contains(name))
    throw user_error(fmt::format("nothing is bound to the parameter '{}', so that it has no gradient", name));
  for (const derivative_formula* f : all) {  // a name may stand for a matrix in one place and for a stream in another
    if (!f_.g[f->variable].template is<terms::parameter>()) continue;
    const tensor<T> found = backward(*f, f->full, g);
    const view<const T> stored = stream_parameter(env_, f_.g[f->variable]);
    const tensor<T> whole = arena<T>(backend_).make(stream_extents(1, volume(stored.size)));
    backend_.copy(found, view<T>{whole.v.data, stored.size, stored.stride});
    const std::vector<T> part = numbers_of(whole);
    numbers.resize(part.size(), T(0));
    for (std::size_t k = 0; k < part.size(); ++k) numbers[k] += part[k];
  }
  return numbers;
}

template class true_derivative<float>;
template class true_derivative<double>;

}  // namespace alphaform
