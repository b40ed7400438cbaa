// Streams within a window.
#include <alphaform/backends/engine/engine.hpp>

namespace alphaform {

template <class T>
evaluation<T>::evaluation(engine<T>& whole, const kernels<T>& k, carried<T>* carry, bool tries)
    : whole_(whole),
      g_(whole.graph()),
      env_(whole.env()),
      k_(k),
      shapes_(whole.sizes()),
      arena_(k, !k.has_own_memory),
      carry_(carry),
      with_others_(tries ? nullptr : whole.remembered()) {}

template <class T>
void evaluation<T>::next_window() {
  own_.forget();
  if (with_others_ != nullptr) with_others_->next_window();
  read_before_ = std::exchange(read_, {});
}
/// What is carried from window to window belongs to one evaluation.
template <class T>
remembered<T>& evaluation<T>::shared() {
  return with_others_ != nullptr && with_others_->is_asked() && carry_ == nullptr ? with_others_->streams() : own_;
}

template <class T>
tensor<T> evaluation<T>::state(const extents& size, T initial) {
  return carry_ != nullptr ? carry_->state(arena_, size, initial) : arena_.filled(size, initial);
}

/// Of a stream that is stored whole.
template <class T>
tensor<T> evaluation<T>::part_of(const tensor<T>& whole, const window& w) {
  const auto same = [&](const tensor<T>& t) { return t.v.data == whole.v.data; };
  if (whole.v.of(axis::token) > 1 && std::none_of(read_.begin(), read_.end(), same)) read_.push_back(whole);
  return w.of(whole);
}

template <class T>
void evaluation<T>::expect(const window& w, const tensor<T>& x) {
  std::vector<view<const T>> soon;
  if (x) soon.push_back(w.of(x).v);
  for (const tensor<T>& t : read_before_) soon.push_back(w.of(t).v);
  k_.expect(soon);
}

template <class T>
tensor<T> evaluation<T>::value(node_index i, const window& w) {
  const node& n = g_[i];
  if (n.is<terms::input>()) return part_of(env_.inputs.find(n.id)->second, w);
  if (n.is<terms::parameter>()) {
    // Parameters are read in place; kernels never write to an argument.
    const view<const T> v = stream_parameter(env_, n);
    if (v.data == nullptr) return arena_.filled(single, absent_parameter<T>(n));
    const view<T> in_place{const_cast<T*>(v.data), v.size, v.stride};
    return w.of(tensor<T>{in_place, nullptr});
  }
  if (whole_.shared(i) || n.is<terms::applied>()) {
    auto& known = shared().around(w);
    if (const auto found = known.find(i); found != known.end()) return found->second;
  }
  tensor<T> y;
  if (is_pointwise(g_, i))
    y = computed(i, w);
  else if (const auto reach = n.is<terms::applied>() && whole_.has_whole_text() ? whole_.reach(n.a) : std::nullopt)
    y = local(i, *reach, w);
  else
    return part_of(whole_.kept(i), w);
  if (whole_.shared(i)) shared().around(w)[i] = y;
  return y;
}

template <class T>
tensor<T> evaluation<T>::computed(node_index i, const window& w) {
  const compiled_stream& c = whole_.programs().program(made_of::product, {i});
  const auto& code = c.program.instructions;
  if (code.size() == 1 && code.front().is == pointwise::operation::load) return value(c.reads.front(), w);
  // What no token changes is evaluated once for all windows.
  if (at(c.size, axis::token) == 1 && c.reads.size() > 0 && w.tokens() < whole_.tokens()) return w.of(whole_.kept(i));
  return evaluated(c, w);
}

template <class T>
void evaluation<T>::value_into(node_index i, const window& w, const view<T>& y) {
  evaluate(whole_.programs().program(made_of::product, {i}), w, {}, y);
}

/// What a program reads; `last` are its last operands, which are no streams, and `keep` holds all of them.
template <class T>
std::vector<view<const T>> evaluation<T>::operands(const compiled_stream& c, const window& w, const brought& last,
                                                   std::vector<tensor<T>>& keep) {
  for (const node_index r : c.reads) keep.push_back(value(r, w));
  keep.insert(keep.end(), last.begin(), last.end());
  return {keep.begin(), keep.end()};
}

template <class T>
void evaluation<T>::evaluate(const compiled_stream& c, const window& w, const brought& last, const view<T>& y) {
  std::vector<tensor<T>> keep;
  k_.evaluate(c.program, operands(c, w, last, keep), y);
}

template <class T>
tensor<T> evaluation<T>::evaluated(const compiled_stream& c, const window& w) {
  const tensor<T> y = arena_.make(w.of(c.size));
  evaluate(c, w, {}, y);
  return y;
}

/// A stream that looks back a few tokens, from its argument in a window that begins so much earlier.
template <class T>
tensor<T> evaluation<T>::local(node_index i, std::size_t reach, const window& w) {
  const std::size_t begin = w.token_begin - std::min(reach, w.token_begin);
  const window wide = w.at_tokens(begin, w.token_end);
  carried<T>* const carry = std::exchange(carry_, nullptr);
  const tensor<T> y = apply(g_[i].a, value(g_[i].b, wide), wide);
  carry_ = carry;
  return y.slice(axis::token, w.token_begin - begin, w.token_end - begin);
}

/// The product of streams.
template <class T>
tensor<T> evaluation<T>::product(const streams& list, const window& w) {
  if (list.empty()) return arena_.filled(single, 1);
  if (list.size() == 1) return value(list.front(), w);
  return evaluated(whole_.programs().program(made_of::product, list), w);
}

template <class T>
tensor<T> evaluation<T>::change_of(const streams& decay, const window& w) {
  if (decay.empty()) return arena_.filled(single, 0);
  return evaluated(whole_.programs().program(made_of::change_of_decay, decay), w);
}

/// The product of streams as two factors: what the state does not change, and the rest.
template <class T>
factored<T> evaluation<T>::control(const streams& list, const window& w, std::vector<tensor<T>>& keep) {
  const tensor<T> first = keep.emplace_back(product(shapes_.without_state(list), w)),
                  second = keep.emplace_back(product(shapes_.with_state(list), w));
  return {first, second};
}

/// Running maxima p_t = max(p_{t-1} + x_t, y_t), with one more token in front that stands for everything before.
template <class T>
tensor<T> evaluation<T>::peaks(const node& n) {
  const std::size_t tokens = whole_.tokens();
  const window everything = whole_.everything();
  const tensor<T> log_decay = value(n.a, everything), key = value(n.b, everything);
  extents size = alphaform::together(key.v.size, log_decay.v.size);
  extents first = size;
  at(first, axis::token) = 1;
  at(size, axis::token) = tokens + 1;
  const tensor<T> before = state(first, T(-1e38)), steps = arena_.filled(size, 0), keys = arena_.make(size),
                  p = arena_.make(size);
  k_.copy(log_decay, steps.slice(axis::token, 1, tokens + 1));
  k_.copy(before, keys.slice(axis::token, 0, 1));
  k_.copy(key, keys.slice(axis::token, 1, tokens + 1));
  k_.peak(steps, keys, p);
  k_.copy(p.slice(axis::token, tokens, tokens + 1), before);
  return n.is<terms::prior_peak>() ? p.slice(axis::token, 0, tokens) : p.slice(axis::token, 1, tokens + 1);
}

template class evaluation<float>;
template class evaluation<double>;

}  // namespace alphaform
