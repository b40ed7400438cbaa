// What a recurrent evaluation hands from one stretch of tokens to the next: states of scans, the last inputs of filters
// and delays. Evaluation asks for them in the same order every time, so they need no names.
#pragma once
#include <algorithm>
#include <alphaform/algebra/graph.hpp>
#include <alphaform/backends/tensor.hpp>
#include <alphaform/error.hpp>
#include <map>
#include <vector>

namespace alphaform {

template <class T>
class carried final {
 public:
  /// To be called before each stretch.
  void rewind() { next_ = 0; }
  /// Where the states that are asked for next come; back there for the next window of tokens.
  std::size_t place() const { return next_; }
  void go_to(std::size_t place) { next_ = place; }
  /// The next state; the first time around, one of this size that is `initial` everywhere.
  tensor<T> state(const arena<T>& memory, const extents& size, T initial) {
    if (next_ == states_.size()) states_.push_back(memory.filled(size, initial));
    if (states_[next_].v.size != size)
      throw user_error("this decoding state belongs to another model, or to a run that was broken off");
    return states_[next_++];
  }

  /// What came before with x behind it, of which the last `reach` tokens are kept for later.
  tensor<T> appended(const arena<T>& memory, const kernels<T>& k, const tensor<T>& x, std::size_t reach) {
    tensor<T> all = x;
    if (next_ < states_.size()) {
      const std::size_t past = states_[next_].v.of(axis::token), now = x.v.of(axis::token);
      extents like = states_[next_].v.size;
      at(like, axis::token) = now;
      if (!states_[next_].owner || like != x.v.size || past > reach)
        throw user_error("this decoding state belongs to another model, or to a run that was broken off");
      extents size = x.v.size;
      at(size, axis::token) = past + now;
      all = memory.make(size);
      k.copy(states_[next_], all.slice(axis::token, 0, past));
      k.copy(x, all.slice(axis::token, past, past + now));
    } else {
      states_.emplace_back();
    }
    const std::size_t tokens = all.v.of(axis::token), kept = std::min(tokens, reach);
    states_[next_++] = all.slice(axis::token, tokens - kept, tokens);
    return all;
  }

  /// The same states, stored apart.
  carried copied(const arena<T>& memory, const kernels<T>& k) const {
    carried other;
    for (const tensor<T>& s : states_) {
      other.states_.push_back(s.owner ? memory.make(s.v.size) : s);
      if (s.owner) k.copy(s, other.states_.back());
    }
    return other;
  }
  /// Everything that is carried, in the order in which it is asked for.
  std::vector<tensor<T>>& states() { return states_; }
  const std::vector<tensor<T>>& states() const { return states_; }

 private:
  std::vector<tensor<T>> states_;
  std::size_t next_ = 0;
};

/// Of an operator that goes over long stretches: one for each part of the lanes, which threads take side by side.
template <class T>
using carried_lanes = std::vector<carried<T>>;
/// Of an expression on long stretches: by the stream that is evaluated whole.
template <class T>
using carried_streams = std::map<node_index, carried_lanes<T>>;

/// How a text comes: all at once, a few tokens at a time, or in stretches that are long enough for threads and windows.
template <class T>
struct handed_on final {
  carried<T>* by_token = nullptr;
  carried_streams<T>* by_stretch = nullptr;

  handed_on(carried<T>* c = nullptr) : by_token(c) {}
  handed_on(carried_streams<T>& s) : by_stretch(&s) {}
};

/// What the expressions of a model hand on, in the order of their evaluation.
template <class T>
class text_state {
 public:
  /// @throws user_error if the state is another model's
  void belongs_to(const void* model) {
    if (model_ != nullptr && model_ != model) throw user_error("this decoding state belongs to another model");
    model_ = model;
  }
  virtual handed_on<T> next() = 0;

 protected:
  ~text_state() = default;

 private:
  const void* model_ = nullptr;
};

template <class T>
handed_on<T> handed_on_by(text_state<T>* s) {
  return s != nullptr ? s->next() : handed_on<T>();
}

/// Of long stretches.
template <class T>
class stretch_state final : public text_state<T> {
 public:
  void rewind() { next_ = 0; }
  handed_on<T> next() override {
    if (next_ == all_.size()) all_.push_back(std::make_unique<carried_streams<T>>());
    return *all_[next_++];
  }
  /// The same states, stored apart.
  stretch_state copied(const arena<T>& memory, const kernels<T>& k) const {
    stretch_state other;
    static_cast<text_state<T>&>(other) = *this;  // of the same model
    for (const auto& streams : all_) {
      other.all_.push_back(std::make_unique<carried_streams<T>>());
      for (const auto& [node, lanes] : *streams)
        for (const carried<T>& c : lanes) (*other.all_.back())[node].push_back(c.copied(memory, k));
    }
    return other;
  }

 private:
  std::vector<std::unique_ptr<carried_streams<T>>> all_;
  std::size_t next_ = 0;
};

/// Of a few tokens at a time: one `carried` for each expression.
template <class T>
class decoding_state final : public text_state<T> {
 public:
  void rewind() { next_ = 0; }
  handed_on<T> next() override {
    if (next_ == all_.size()) all_.push_back(std::make_unique<carried<T>>());
    all_[next_]->rewind();
    return all_[next_++].get();
  }
  std::size_t size() const { return all_.size(); }
  const carried<T>& operator[](std::size_t i) const { return *all_[i]; }

 private:
  std::vector<std::unique_ptr<carried<T>>> all_;
  std::size_t next_ = 0;
};

}  // namespace alphaform
