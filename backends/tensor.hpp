// Storage of numbers with an owner. An arena hands it out and keeps count, so that a query's peak memory is known:
// exactly, before it runs (with kernels that only count) and after.
#pragma once
#include <algorithm>
#include <alphaform/backends/kernels.hpp>
#include <alphaform/error.hpp>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace alphaform {

/// Bytes in use and their maximum.
struct memory_count final {
  std::size_t now = 0, peak = 0;
  void add(std::size_t bytes) { peak = std::max(peak, now += bytes); }
  void remove(std::size_t bytes) { now -= bytes; }
};

/// A view together with shared ownership of its numbers.
template <class T>
struct tensor final {
  view<T> v{};
  std::shared_ptr<void> owner{};
  const kernels<T>* home = nullptr;  ///< whose memory holds the numbers, if that is not this processor's

  operator view<T>() const { return v; }
  operator view<const T>() const { return v; }
  tensor slice(axis a, std::size_t begin, std::size_t end) const { return {v.slice(a, begin, end), owner, home}; }
  explicit operator bool() const { return owner != nullptr; }
};

/// Numbers from one backend, counted for as long as they are not given back to it.
template <class T>
class storage final {
 public:
  /// @param keeps  what is released, for the next who asks for as many
  storage(const kernels<T>& k, bool keeps) : kernels_(&k), keeps_(keeps) {}
  storage(const storage&) = delete;
  storage& operator=(const storage&) = delete;
  ~storage() { release_kept(); }
  T* take(std::size_t n) {
    for (auto it = kept_.begin(); it != kept_.end(); ++it) {
      if (it->first != n) continue;
      T* data = it->second;
      *it = kept_.back();
      kept_.pop_back();
      return data;
    }
    T* data = allocated(n);
    count.add(n * sizeof(T));
    return data;
  }
  void put(std::size_t n, T* data) {
    if (keeps_)
      kept_.emplace_back(n, data);
    else
      release(n, data);
  }

  memory_count count;

 private:
  /// Where there is no room, what is kept makes some.
  T* allocated(std::size_t n) {
    if (kept_.empty()) return kernels_->allocate(n);
    try {
      return kernels_->allocate(n);
    } catch (const out_of_memory&) {
      release_kept();
    }
    return kernels_->allocate(n);
  }
  void release(std::size_t n, T* data) {
    kernels_->release(data);
    count.remove(n * sizeof(T));
  }
  void release_kept() {
    for (const auto& [n, data] : kept_) release(n, data);
    kept_.clear();
  }

  const kernels<T>* kernels_;
  bool keeps_;
  std::vector<std::pair<std::size_t, T*>> kept_;
};

/// Allocates contiguous tensors from one backend. Not to be used by several threads at once.
template <class T>
class arena final {
 public:
  /// @param reuses  keeps what is released for the next tensor of that size: for windows, which are all alike
  explicit arena(const kernels<T>& k, bool reuses = false)
      : kernels_(&k), storage_(std::make_shared<storage<T>>(k, reuses)) {}

  /// @param format  bfloat16 only where kernels have their own memory, and compute in float
  tensor<T> make(const extents& size, number_format format = number_format::whole) const {
    const std::size_t n = (volume(size) * size_of<T>(format) + sizeof(T) - 1) / sizeof(T);
    T* data = storage_->take(n);
    // The counting backend has no storage; the owner must still be something that is released once.
    return {{data, size, contiguous(size), format},
            std::shared_ptr<void>(static_cast<void*>(storage_.get()),
                                  [from = storage_, n, data](void*) { from->put(n, data); }),
            kernels_->has_own_memory ? kernels_ : nullptr};
  }
  tensor<T> filled(const extents& size, T value) const {
    tensor<T> t = make(size);
    kernels_->fill(value, t);
    return t;
  }
  /// The same numbers, whose bytes this arena counts from now on; it does not own them.
  tensor<T> counting(const tensor<T>& t) const {
    const std::size_t bytes = volume(t.v.size) * size_of<T>(t.v.format);
    storage_->count.add(bytes);
    return {t.v,
            std::shared_ptr<void>(t.owner.get(),
                                  [from = storage_, bytes, owner = t.owner](void*) { from->count.remove(bytes); }),
            t.home};
  }
  const memory_count& count() const { return storage_->count; }
  /// Counts memory that was held beside what is now, by arenas of other threads.
  void held_beside(std::size_t bytes) const {
    memory_count& c = storage_->count;
    c.peak = std::max(c.peak, c.now + bytes);
  }

 private:
  const kernels<T>* kernels_;
  std::shared_ptr<storage<T>> storage_;
};

/// The same numbers with other extents; the tensor must be contiguous.
template <class T>
tensor<T> reshaped(const tensor<T>& x, const extents& size) {
  if (volume(size) != volume(x.v.size) || x.v.stride != contiguous(x.v.size))
    throw internal_error("only contiguous numbers can be read with other extents, and only as many");
  return {{x.v.data, size, contiguous(size), x.v.format}, x.owner, x.home};
}
/// A stream [T, G, H, C] as [T, G H C], head after head: what a mixer's output projection gets.
template <class T>
tensor<T> heads_side_by_side(const tensor<T>& x) {
  const std::size_t tokens = x.v.of(axis::token), entries = volume(x.v.size) / tokens;
  return entries == x.v.of(axis::chan) ? x : reshaped(x, stream_extents(tokens, entries));
}

/// Numbers in row-major order, stored by the backend; on a device rounded to bfloat16 if that is asked for. What an
/// operator makes of a stream is stored like it; all else is whole.
/// @throws user_error for bfloat16 on this processor
template <class T>
tensor<T> stored(const std::vector<T>& numbers, const extents& size, const kernels<T>& k,
                 number_format format = number_format::whole) {
  if (numbers.size() != volume(size)) throw internal_error("there should be as many numbers as their extents say");
  if (format != number_format::whole && !k.has_own_memory)
    throw user_error("a stream of bfloat16 was asked for without a CUDA device: this processor's kernels have none");
  const tensor<T> x = arena<T>(k).make(size);
  k.upload(numbers.data(), numbers.size(), x.v.data);
  if (format == number_format::whole) return x;
  const tensor<T> rounded = arena<T>(k).make(size, format);
  k.copy(x, rounded);
  return rounded;
}
/// The numbers where this processor can read them, the tensor itself if they are there. Waits for all work before.
template <class T>
tensor<T> on_host(const tensor<T>& x) {
  if (x.home == nullptr) return x;
  tensor<T> whole = x;
  if (x.v.stride != contiguous(x.v.size) || x.v.format != number_format::whole) {
    whole = arena<T>(*x.home).make(x.v.size);
    x.home->copy(x, whole);
  }
  const std::shared_ptr<T[]> numbers(new T[volume(x.v.size)]);
  x.home->download(whole.v.data, volume(x.v.size), numbers.get());
  return {{numbers.get(), whole.v.size, whole.v.stride}, numbers};
}
/// The numbers in row-major order.
template <class T>
std::vector<T> numbers_of(const tensor<T>& x) {
  const std::size_t n = volume(x.v.size);
  if (x.home == nullptr && x.v.stride != contiguous(x.v.size))
    throw internal_error("only contiguous numbers can be listed");
  const tensor<T> here = on_host(x);
  return {here.v.data, here.v.data + n};
}

/// A stream [tokens, channels] of numbers in row-major order, stored by the backend.
/// @throws user_error when their count is not tokens times channels
template <class T, class Number>
tensor<T> stream_of(std::span<const Number> numbers, std::size_t tokens, std::size_t channels, const kernels<T>& k,
                    number_format format = number_format::whole) {
  if (tokens == 0 || numbers.size() != tokens * channels)
    throw user_error("a stream [tokens, channels] needs tokens times channels numbers, and at least one token");
  return stored(std::vector<T>(numbers.begin(), numbers.end()), stream_extents(tokens, channels), k, format);
}

}  // namespace alphaform
