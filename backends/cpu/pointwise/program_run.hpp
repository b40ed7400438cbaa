// How a pointwise program runs: views as blocks of y, blocks as strips, strips through the loops of the instructions.
#pragma once
#include <alphaform/backends/cpu/pointwise/strip_loops.hpp>
#include <alphaform/backends/cpu/simd/functions.hpp>
#include <alphaform/view.hpp>
#include <cstdint>
#include <span>
#include <vector>

namespace alphaform::cpu {

/// How an operand lies along a block of y.
enum class lie : std::uint8_t {
  repeated,    ///< one number for all places
  contiguous,  ///< as y would lie if it were contiguous
  mixed        ///< neither: it is spread out into a register
};

/// In which order tokens come.
enum class direction : std::uint8_t { any, forward, backward };

/// One instruction with its arguments as places in `program_run::where`.
struct step final {
  strip_loop loop;
  strip_function function;  ///< if not null instead of loop
  std::uint16_t a, b, c, to;
  scan_loop scan = nullptr;  ///< if not null instead of both
  std::uint8_t cost = 1;     ///< about, in passes that only load and store

  /// Places [first, first + n) of a strip; a scan comes to all of them at once.
  void run(float* const* where, std::size_t first, std::size_t n, const strip_states& s) const {
    if (scan != nullptr)
      scan(where[a], where[b], s, where[to]);
    else if (function != nullptr)
      function(where[a] + first, where[to] + first, n);
    else
      loop(where[a], where[b], where[c], where[to], n);
  }
};

/// The axes of the operands and of y, adjacent ones joined where all allow it, innermost first; the inner ones make a
/// block, which is evaluated strip by strip: a few rows of the block's last axis. A scan comes to blocks in the order
/// of their tokens, the outermost axis, and has its states one after the other in memory of its own.
class program_run final {
 public:
  /// @param h  the states of a scan; nothing where the order of tokens is any
  void begin(std::span<const view<const float>> operands, const view<float>& h, const view<float>& y, direction);

  lie lie_of_operand(std::size_t k) const { return lies_[k]; }
  /// Is the operand the same in every one of several blocks?
  bool is_fixed(std::size_t k) const;

  /// Places: operands, h, y, registers, single numbers, then arrays for a whole block. A mixed operand and a y that
  /// strips are not written to have a register of their own.
  void make_places(std::size_t registers, std::size_t numbers);
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
  void add(const step& s) { for_strip_.push_back(s), cost_ += s.cost; }

  void run();

 private:
  static constexpr std::size_t no_axis = axis_count;

  void make_axes(std::span<const view<const float>> operands, const view<float>& h, const view<float>& y, direction);
  std::size_t h() const { return count_ - 2; }
  std::ptrdiff_t* strides_of(std::size_t axis) { return &stride_[axis * count_]; }
  const std::ptrdiff_t* strides_of(std::size_t axis) const { return &stride_[axis * count_]; }
  std::size_t block_size() const { return row_ * size_[top_]; }
  bool follows(const std::ptrdiff_t* outer, const std::ptrdiff_t* inner, std::size_t size) const;
  lie lie_of(std::size_t k) const;
  void find_rows_ahead();
  bool leaves_caches() const;

  std::size_t state_axes() const { return tokens_ == no_axis ? axes_ : tokens_; }
  void load_states();
  void store_states();
  strip_states states_of(std::size_t r, std::size_t rows);

  void block();
  void place_strip(std::size_t r, std::size_t rows);
  void find_soon(std::size_t n);
  void run_strip(std::size_t n, strip_states&);
  float* spread(const float* x, std::size_t k, std::size_t axis, std::size_t rows, float* to) const;
  const float* gather(float* y, std::size_t k, std::size_t axis, std::size_t rows, const float* from) const;

  std::size_t count_ = 0;  ///< operands, h and y
  std::vector<float*> base_;
  std::vector<const float*> soon_;
  std::size_t axes_ = 0, size_[axis_count] = {};
  std::vector<std::ptrdiff_t> stride_;  ///< [axis, operand]
  std::size_t tokens_ = no_axis;        ///< the axis along which a scan goes
  std::size_t top_ = 0;                 ///< the block's last axis
  std::size_t row_ = 1, rows_ = 1;      ///< numbers in one row of it, rows in a strip
  bool often_ = false;                  ///< several blocks, of which parts can be kept
  bool far_ = false;                    ///< more than a cache holds
  bool leaves_ = false;                 ///< y is written past all caches
  std::vector<std::ptrdiff_t> ahead_;   ///< to what of each operand is fetched before it is needed, 0 if nothing is
  bool first_ = true;                   ///< at the first block
  std::size_t block_ = 0, blocks_ = 1;  ///< number of the block among those of one token
  std::vector<lie> lies_;
  std::vector<step> for_block_, for_first_, for_strip_;
  std::size_t cost_ = 0;  ///< of a strip
  std::vector<float*> where_;
  std::size_t first_number_ = 0, first_kept_ = 0;
  std::vector<float> memory_, kept_, high_, low_;
  spread_loop spread_ = loop_of_spread();
  stream_loop stream_ = loop_of_stream();
};

}  // namespace alphaform::cpu
