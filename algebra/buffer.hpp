// A growing array that constant expressions can use and release. It is std::vector with fewer calls: compilers evaluate
// constant expressions call by call, and rewriting is made of many small ones.
#pragma once
#include <cstddef>

namespace alphaform {

template <class T>
class buffer final {
 public:
  constexpr buffer() = default;
  constexpr buffer(std::size_t n, const T& value) { resize(n, value); }
  constexpr buffer(const buffer& o) {
    reserve(o.size_);
    for (std::size_t k = 0; k < o.size_; ++k) data_[k] = o.data_[k];
    size_ = o.size_;
  }
  constexpr buffer(buffer&& o) noexcept : data_(o.data_), size_(o.size_), room_(o.room_) {
    o.data_ = nullptr;
    o.size_ = o.room_ = 0;
  }
  constexpr buffer& operator=(buffer o) noexcept {
    T* const data = data_;
    data_ = o.data_;
    o.data_ = data;
    size_ = o.size_;
    room_ = o.room_;
    return *this;
  }
  constexpr ~buffer() { delete[] data_; }

  constexpr T& operator[](std::size_t i) { return data_[i]; }
  constexpr const T& operator[](std::size_t i) const { return data_[i]; }
  constexpr T* data() { return data_; }
  constexpr const T* data() const { return data_; }
  constexpr std::size_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }
  constexpr T* begin() { return data_; }
  constexpr T* end() { return data_ + size_; }
  constexpr const T* begin() const { return data_; }
  constexpr const T* end() const { return data_ + size_; }
  constexpr const T& back() const { return data_[size_ - 1]; }

  constexpr void push_back(const T& value) {
    if (size_ == room_) reserve(room_ < 16 ? 32 : 2 * room_);
    data_[size_++] = value;
  }
  constexpr void resize(std::size_t n, const T& value) {
    if (n > room_) reserve(n < 2 * room_ ? 2 * room_ : n);
    for (std::size_t k = size_; k < n; ++k) data_[k] = value;
    size_ = n;
  }
  constexpr void erase(std::size_t at) {
    for (std::size_t k = at + 1; k < size_; ++k) data_[k - 1] = data_[k];
    --size_;
  }

 private:
  constexpr void reserve(std::size_t room) {
    if (room <= room_) return;
    T* const data = new T[room]();
    for (std::size_t k = 0; k < size_; ++k) data[k] = data_[k];
    delete[] data_;
    data_ = data;
    room_ = room;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0, room_ = 0;
};

}  // namespace alphaform
