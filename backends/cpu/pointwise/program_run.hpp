// How a pointwise program runs: views as blocks of y, blocks as strips, strips through the loops of the instructions.
#pragma once
#include <hwy/cache_control.h>

#include <algorithm>
#include <alphaform/backends/cpu/pointwise/strip_loops.hpp>
#include <alphaform/backends/cpu/simd/functions.hpp>
#include <alphaform/view.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace alphaform::cpu {

inline constexpr std::size_t strip_size = 512;  ///< numbers of a register: a few of them fit the first cache
inline constexpr std::size_t shortest = 64;     ///< shorter runs are joined
inline constexpr std::size_t register_size = strip_size + 64;  ///< a spread_loop may write so much more
inline constexpr std::size_t line = 16;                        ///< numbers of a cache line
inline constexpr std::size_t alignment = line;                 ///< of registers, in numbers
inline constexpr std::size_t longest_kept = 1 << 14;  ///< block of which results are kept that are the same for all
inline constexpr std::size_t near = 1 << 16;          ///< numbers of y up to which nothing is fetched ahead
inline constexpr std::size_t ahead = 1 << 11;         ///< numbers that rows are fetched ahead

/// How an operand lies along a block of y.
enum class lie : std::uint8_t {
  repeated,    ///< one number for all places
  contiguous,  ///< as y would lie if it were contiguous
  mixed        ///< neither: it is spread out into a register
};

/// One instruction with its arguments as places in `program_run::where`.
struct step final {
  strip_loop loop;
  strip_function function;  ///< if not null instead of loop
  std::uint16_t a, b, c, to;

  void run(float* const* where, std::size_t n) const {
    if (function != nullptr)
      function(where[a], where[to], n);
    else
      loop(where[a], where[b], where[c], where[to], n);
  }
};

/// The axes of the operands and of y, adjacent ones joined where all allow it, innermost first; the inner ones make a
/// block, which is evaluated strip by strip: a few rows of the block's last axis.
class program_run final {
 public:
  void begin(std::span<const view<const float>> operands, const view<float>& y) {
    count_ = operands.size() + 1;
    base_.clear();
    for (const auto& v : operands) base_.push_back(const_cast<float*>(v.data));  // only y is written
    base_.push_back(y.data);
    axes_ = 0;
    stride_.resize(axis_count * count_);
    for (std::size_t a = axis_count; a-- > 0;) {
      if (y.size[a] == 1) continue;
      std::size_t* const next = &stride_[axes_ * count_];
      for (std::size_t k = 0; k + 1 < count_; ++k) next[k] = operands[k].stride[a];
      next[count_ - 1] = y.stride[a];
      if (axes_ > 0 && follows(next, next - count_, size_[axes_ - 1])) {
        size_[axes_ - 1] *= y.size[a];
      } else {
        size_[axes_++] = y.size[a];
      }
    }
    if (axes_ == 0) {
      size_[axes_++] = 1;
      std::fill_n(stride_.begin(), count_, 0);
      stride_[count_ - 1] = 1;
    }
    row_ = 1;
    top_ = 0;
    while (row_ * size_[top_] < shortest && top_ + 1 < axes_) row_ *= size_[top_++];
    rows_ = std::max<std::size_t>(1, strip_size / row_);
    lies_.resize(count_);
    for (std::size_t k = 0; k < count_; ++k) lies_[k] = lie_of(k);
    far_ = volume(y.size) > near;
    find_rows_ahead();
    often_ = top_ + 1 < axes_ && block_size() <= longest_kept;
    for (std::vector<step>* s : {&for_block_, &for_first_, &for_strip_}) s->clear();
  }

  lie lie_of_operand(std::size_t k) const { return lies_[k]; }
  /// Is the operand the same in every one of several blocks?
  bool is_fixed(std::size_t k) const {
    bool fixed = often_;
    for (std::size_t a = top_ + 1; a < axes_; ++a) fixed &= stride_[a * count_ + k] == 0;
    return fixed;
  }

  /// Places: operands, y, registers, single numbers, then arrays for a whole block. A mixed operand and a y that is not
  /// contiguous have a register of their own.
  void make_places(std::size_t registers, std::size_t numbers) {
    const std::size_t arrays = registers + count_, needed = arrays * register_size + numbers;
    if (memory_.size() < needed + alignment) memory_.resize(needed + alignment);
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data()) / sizeof(float);
    float* const first = memory_.data() + (alignment - address % alignment);
    where_.resize(arrays + numbers);
    for (std::size_t k = 0; k < arrays; ++k) where_[k] = first + k * register_size;
    for (std::size_t k = 0; k < numbers; ++k) where_[arrays + k] = first + arrays * register_size + k;
    first_number_ = arrays;
    first_kept_ = arrays + numbers;
  }
  std::uint16_t y() const { return static_cast<std::uint16_t>(count_ - 1); }
  std::uint16_t register_number(std::size_t k) const { return static_cast<std::uint16_t>(count_ + k); }
  std::uint16_t number(std::size_t k) const { return static_cast<std::uint16_t>(first_number_ + k); }
  std::uint16_t one_more_kept() {
    where_.push_back(nullptr);
    return static_cast<std::uint16_t>(where_.size() - 1);
  }
  float& at(std::size_t place) { return *where_[place]; }

  void add_for_block(const step& s) { for_block_.push_back(s); }  ///< on single numbers, once a block
  void add_for_first(const step& s) { for_first_.push_back(s); }  ///< for what is kept from the first block on
  void add(const step& s) { for_strip_.push_back(s); }

  void run() {
    kept_.resize((where_.size() - first_kept_) * block_size());
    // One instruction needs no registers.
    if (for_strip_.size() == 1 && std::find(lies_.begin(), lies_.end(), lie::mixed) == lies_.end()) rows_ = size_[top_];
    first_ = true;
    std::size_t index[axis_count] = {};
    for (;;) {
      block();
      first_ = false;
      std::size_t a = top_ + 1;
      for (; a < axes_; ++a) {
        const std::size_t* const along = &stride_[a * count_];
        if (++index[a] < size_[a]) {
          for (std::size_t k = 0; k < count_; ++k) base_[k] += along[k];
          break;
        }
        index[a] = 0;
        for (std::size_t k = 0; k < count_; ++k) base_[k] -= along[k] * (size_[a] - 1);
      }
      if (a >= axes_) return;
    }
  }

 private:
  std::size_t block_size() const { return row_ * size_[top_]; }
  bool follows(const std::size_t* outer, const std::size_t* inner, std::size_t size) const {
    for (std::size_t k = 0; k < count_; ++k)
      if (outer[k] != inner[k] * size) return false;
    return true;
  }
  /// Of what lies apart, as a part of the lanes of a larger stream does: where the row is that is soon needed.
  void find_rows_ahead() {
    ahead_.assign(count_, 0);
    const std::size_t block = block_size(), rows = std::max<std::size_t>(1, ahead / block);
    for (std::size_t k = 0; k < count_; ++k) {
      if (lies_[k] != lie::contiguous || block < line) continue;
      std::size_t n = block, a = top_ + 1;
      for (; a < axes_ && (stride_[a * count_ + k] == n || stride_[a * count_ + k] == 0); ++a) n *= size_[a];
      if (a < axes_) ahead_[k] = rows * stride_[a * count_ + k];
    }
  }
  lie lie_of(std::size_t k) const {
    bool repeats = true, follows = true;
    std::size_t n = 1;
    for (std::size_t a = 0; a <= top_; ++a) {
      repeats &= stride_[a * count_ + k] == 0;
      follows &= stride_[a * count_ + k] == n;
      n *= size_[a];
    }
    return n == 1 || follows ? (n == 1 && k + 1 < count_ ? lie::repeated : lie::contiguous)
           : repeats         ? lie::repeated
                             : lie::mixed;
  }

  void block() {
    for (std::size_t k = 0; k < y(); ++k)
      if (lies_[k] == lie::repeated) where_[k] = base_[k];
    for (const step& s : for_block_) s.run(where_.data(), 1);
    for (std::size_t k = 0; k < count_; ++k)
      if (ahead_[k] != 0)
        for (std::size_t j = 0; j < block_size(); j += line) hwy::Prefetch(base_[k] + ahead_[k] + j);
    const std::size_t along_y = stride_[top_ * count_ + y()];
    for (std::size_t r = 0; r < size_[top_]; r += rows_) {
      const std::size_t rows = std::min(rows_, size_[top_] - r), n = rows * row_;
      place_strip(r, rows);
      if (first_)
        for (const step& s : for_first_) s.run(where_.data(), n);
      for (std::size_t i = 0; i < for_strip_.size(); ++i) {
        if (far_) expect(n, i);
        for_strip_[i].run(where_.data(), n);
      }
      if (lies_[y()] != lie::contiguous) gather(base_[y()] + r * along_y, top_, rows, where_[y()]);
    }
  }
  void place_strip(std::size_t r, std::size_t rows) {
    const std::size_t* const along = &stride_[top_ * count_];
    for (std::size_t k = 0; k < count_; ++k) {
      if (lies_[k] == lie::contiguous)
        where_[k] = base_[k] + r * along[k];
      else if (lies_[k] == lie::mixed && k != y() && (first_ || !is_fixed(k)))
        spread(base_[k] + r * along[k], k, top_, rows, where_[k]);
    }
    for (std::size_t k = first_kept_; k < where_.size(); ++k)
      where_[k] = kept_.data() + (k - first_kept_) * block_size() + r * row_;
  }

  /// Fetches a part of what the next strip reads and writes before instruction i of this one: hardware does not look
  /// so far ahead, and all at once would wait.
  void expect(std::size_t n, std::size_t i) const {
    const std::size_t part = (n / for_strip_.size() / line + 1) * line;
    for (std::size_t k = 0; k < count_; ++k) {
      if (lies_[k] != lie::contiguous) continue;
      for (std::size_t j = i * part; j < std::min(n, (i + 1) * part); j += line) hwy::Prefetch(where_[k] + n + j);
    }
  }

  /// `rows` rows along an axis of operand k, all axes below it, one after the other.
  float* spread(const float* x, std::size_t k, std::size_t axis, std::size_t rows, float* to) const {
    const std::size_t along = stride_[axis * count_ + k];
    if (axis == 0) {
      spread_(x, 0, along, 1, rows, to);
      return to + rows;
    }
    if (axis == 1) {
      spread_(x, along, stride_[k], rows, size_[0], to);
      return to + rows * size_[0];
    }
    for (std::size_t r = 0; r < rows; ++r) to = spread(x + r * along, k, axis - 1, size_[axis - 1], to);
    return to;
  }
  /// The same for y, from the register to its places.
  const float* gather(float* y, std::size_t axis, std::size_t rows, const float* from) const {
    const std::size_t along = stride_[axis * count_ + count_ - 1];
    for (std::size_t r = 0; r < rows; ++r) {
      if (axis == 0)
        y[r * along] = *from++;
      else
        from = gather(y + r * along, axis - 1, size_[axis - 1], from);
    }
    return from;
  }

  std::size_t count_ = 0;  ///< operands and y
  std::vector<float*> base_;
  std::size_t axes_ = 0, size_[axis_count] = {};
  std::vector<std::size_t> stride_;  ///< [axis, operand]
  std::size_t top_ = 0;              ///< the block's last axis
  std::size_t row_ = 1, rows_ = 1;   ///< numbers in one row of it, rows in a strip
  bool often_ = false;               ///< several blocks, of which parts can be kept
  bool far_ = false;                 ///< more than a cache holds
  std::vector<std::size_t> ahead_;   ///< to what of each operand is fetched before it is needed, 0 if nothing is
  bool first_ = true;                ///< at the first block
  std::vector<lie> lies_;
  std::vector<step> for_block_, for_first_, for_strip_;
  std::vector<float*> where_;
  std::size_t first_number_ = 0, first_kept_ = 0;
  std::vector<float> memory_, kept_;
  spread_loop spread_ = loop_of_spread();
};

}  // namespace alphaform::cpu
