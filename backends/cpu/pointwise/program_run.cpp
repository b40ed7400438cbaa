#include <hwy/cache_control.h>

#include <algorithm>
#include <alphaform/backends/cpu/pointwise/program_run.hpp>
#include <alphaform/backends/cpu/streaming.hpp>
#include <cstdlib>

namespace alphaform::cpu {

namespace {

constexpr std::size_t strip_size = 512;  // numbers of a register: a few of them fit the first cache
constexpr std::size_t shortest = 160;    // shorter runs are joined
constexpr std::size_t more = 64;         // numbers that a spread_loop may write too much
constexpr std::size_t register_size = strip_size + more;
constexpr std::size_t line = 16;               // numbers of a cache line
constexpr std::size_t alignment = line;        // of registers, in numbers
constexpr std::size_t longest_kept = 1 << 14;  // block of which results are kept that are the same for all
constexpr std::size_t near = 1 << 16;          // numbers of y up to which nothing contiguous is fetched ahead
constexpr std::size_t ahead = 1 << 11;         // numbers that rows are fetched ahead

bool on_line(const float* p) { return reinterpret_cast<std::uintptr_t>(p) % (line * sizeof(float)) == 0; }

}  // namespace

// ---- how it is divided

void program_run::begin(std::span<const view<const float>> operands, const view<float>& h, const view<float>& y,
                        direction d) {
  make_axes(operands, h, y, d);
  row_ = 1;
  top_ = 0;
  while (row_ * size_[top_] < shortest && top_ + 1 < axes_) row_ *= size_[top_++];
  rows_ = std::max<std::size_t>(1, strip_size / row_);
  lies_.resize(count_);
  for (std::size_t k = 0; k < count_; ++k) lies_[k] = lie_of(k);
  far_ = volume(y.size) > near;
  find_rows_ahead();
  leaves_ = leaves_caches();
  often_ = top_ + 1 < axes_ && block_size() <= longest_kept;
  for (std::vector<step>* s : {&for_block_, &for_first_, &for_strip_}) s->clear();
  cost_ = 0;
}

void program_run::make_axes(std::span<const view<const float>> operands, const view<float>& h, const view<float>& y,
                            direction d) {
  count_ = operands.size() + 2;
  base_.clear();
  for (const auto& v : operands) base_.push_back(const_cast<float*>(v.data));  // only h and y are written
  base_.push_back(h.data);
  base_.push_back(y.data);
  stride_.resize(axis_count * count_);
  axes_ = 0;
  tokens_ = no_axis;
  for (std::size_t a = axis_count; a-- > 0;) {
    const std::size_t size = y.size[a];
    if (size == 1) continue;
    std::ptrdiff_t* const next = strides_of(axes_);
    for (std::size_t k = 0; k < operands.size(); ++k) next[k] = static_cast<std::ptrdiff_t>(operands[k].stride[a]);
    next[this->h()] = static_cast<std::ptrdiff_t>(h.stride[a]);
    next[this->y()] = static_cast<std::ptrdiff_t>(y.stride[a]);
    if (d != direction::any && every_axis[a] == axis::token) {
      if (d == direction::backward)
        for (std::size_t k = 0; k < count_; ++k) {
          base_[k] += next[k] * static_cast<std::ptrdiff_t>(size - 1);
          next[k] = -next[k];
        }
      tokens_ = axes_;
    } else if (axes_ > 0 && follows(next, next - count_, size_[axes_ - 1])) {
      size_[axes_ - 1] *= size;
      continue;
    }
    size_[axes_++] = size;
  }
  if (axes_ == 0) {
    size_[axes_++] = 1;
    std::fill_n(stride_.begin(), count_, 0);
    stride_[this->y()] = 1;
  }
}

bool program_run::follows(const std::ptrdiff_t* outer, const std::ptrdiff_t* inner, std::size_t size) const {
  for (std::size_t k = 0; k < count_; ++k)
    if (outer[k] != inner[k] * static_cast<std::ptrdiff_t>(size)) return false;
  return true;
}

lie program_run::lie_of(std::size_t k) const {
  bool repeats = true, follows = true;
  std::size_t n = 1;
  for (std::size_t a = 0; a <= top_; ++a) {
    repeats &= strides_of(a)[k] == 0;
    follows &= strides_of(a)[k] == static_cast<std::ptrdiff_t>(n);
    n *= size_[a];
  }
  if (n == 1) return k == y() ? lie::contiguous : lie::repeated;
  return follows ? lie::contiguous : repeats ? lie::repeated : lie::mixed;
}

bool program_run::is_fixed(std::size_t k) const {
  bool fixed = often_;
  for (std::size_t a = top_ + 1; a < axes_; ++a) fixed &= strides_of(a)[k] == 0;
  return fixed;
}

/// Of what lies apart, as a part of the lanes of a larger stream does: where the row is that is soon needed.
void program_run::find_rows_ahead() {
  ahead_.assign(count_, 0);
  const std::size_t block = block_size(), rows = std::max<std::size_t>(1, ahead / block);
  for (std::size_t k = 0; k < count_; ++k) {
    if (lies_[k] != lie::contiguous || block < line) continue;
    std::size_t n = block, a = top_ + 1;
    for (; a < axes_ && (strides_of(a)[k] == static_cast<std::ptrdiff_t>(n) || strides_of(a)[k] == 0); ++a)
      n *= size_[a];
    if (a < axes_) ahead_[k] = static_cast<std::ptrdiff_t>(rows) * strides_of(a)[k];
  }
}

/// Rows of whole lines that are parts of a large stream are not read again soon.
bool program_run::leaves_caches() const {
  if (ahead_[y()] == 0 || !on_line(base_[y()]) || block_size() % line != 0 || row_ * rows_ % line != 0) return false;
  for (std::size_t a = top_ + 1; a < axes_; ++a)
    if (strides_of(a)[y()] % static_cast<std::ptrdiff_t>(line) != 0) return false;
  return static_cast<std::size_t>(std::abs(strides_of(axes_ - 1)[y()])) * (size_[axes_ - 1] - 1) >= large_span;
}

void program_run::make_places(std::size_t registers, std::size_t numbers) {
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

// ---- states

void program_run::load_states() {
  std::size_t places = 1;
  for (std::size_t a = 0; a < state_axes(); ++a) places *= size_[a];
  high_.resize(places + more);
  low_.assign(places + more, 0.0f);
  if (state_axes() == 0)
    high_[0] = *base_[h()];
  else
    spread(base_[h()], h(), state_axes() - 1, size_[state_axes() - 1], high_.data());
  block_ = 0;
  blocks_ = top_ < state_axes() ? places / block_size() : 1;
}

void program_run::store_states() {
  for (std::size_t i = 0; i < low_.size(); ++i) high_[i] += low_[i];
  if (state_axes() == 0)
    *base_[h()] = high_[0];
  else
    gather(base_[h()], h(), state_axes() - 1, size_[state_axes() - 1], high_.data());
}

strip_states program_run::states_of(std::size_t r, std::size_t rows) {
  if (top_ == tokens_) return {high_.data(), low_.data(), row_, rows};
  const std::size_t place = block_ * block_size() + r * row_;
  return {high_.data() + place, low_.data() + place, rows * row_, 1};
}

// ---- how it runs

void program_run::run() {
  const bool scans = base_[h()] != nullptr;
  if (scans) load_states();
  kept_.resize((where_.size() - first_kept_) * block_size());
  // One instruction needs no registers.
  if (for_strip_.size() == 1 && !scans && !leaves_ && std::find(lies_.begin(), lies_.end(), lie::mixed) == lies_.end())
    rows_ = size_[top_];
  first_ = true;
  std::size_t index[axis_count] = {};
  for (bool goes_on = true; goes_on;) {
    block();
    first_ = false;
    block_ = block_ + 1 == blocks_ ? 0 : block_ + 1;
    std::size_t a = top_ + 1;
    for (; a < axes_; ++a) {
      const std::ptrdiff_t* const along = strides_of(a);
      const bool moves = ++index[a] < size_[a];
      const auto by = moves ? std::ptrdiff_t{1} : -static_cast<std::ptrdiff_t>(size_[a] - 1);
      for (std::size_t k = 0; k < count_; ++k) base_[k] += along[k] * by;
      if (moves) break;
      index[a] = 0;
    }
    goes_on = a < axes_;
  }
  if (leaves_) hwy::FlushStream();
  if (scans) store_states();
}

void program_run::block() {
  const bool scans = base_[h()] != nullptr;
  for (std::size_t k = 0; k < h(); ++k)
    if (lies_[k] == lie::repeated) where_[k] = base_[k];
  for (const step& s : for_block_) s.run(where_.data(), 0, 1, {});
  const std::ptrdiff_t along_y = strides_of(top_)[y()];
  for (std::size_t r = 0; r < size_[top_]; r += rows_) {
    const std::size_t rows = std::min(rows_, size_[top_] - r), n = rows * row_;
    float* const to = base_[y()] + static_cast<std::ptrdiff_t>(r) * along_y;
    place_strip(r, rows);
    strip_states states = scans ? states_of(r, rows) : strip_states{};
    if (first_)
      for (const step& s : for_first_) s.run(where_.data(), 0, n, states);
    run_strip(n, states);
    if (leaves_)
      stream_(where_[y()], to, n);
    else if (lies_[y()] != lie::contiguous)
      gather(to, y(), top_, rows, where_[y()]);
  }
}

void program_run::place_strip(std::size_t r, std::size_t rows) {
  const std::ptrdiff_t* const along = strides_of(top_);
  const auto at = [&](std::size_t k) { return base_[k] + static_cast<std::ptrdiff_t>(r) * along[k]; };
  for (std::size_t k = 0; k < h(); ++k) {
    if (lies_[k] == lie::contiguous)
      where_[k] = at(k);
    else if (lies_[k] == lie::mixed && (first_ || !is_fixed(k)))
      spread(at(k), k, top_, rows, where_[k]);
  }
  if (lies_[y()] == lie::contiguous && !leaves_) where_[y()] = at(y());
  for (std::size_t k = first_kept_; k < where_.size(); ++k)
    where_[k] = kept_.data() + (k - first_kept_) * block_size() + r * row_;
}

/// Where what is soon read and written lies: the same places some rows later, or the next strip.
void program_run::find_soon(std::size_t n) {
  soon_.clear();
  for (std::size_t k = 0; k < count_; ++k) {
    if (lies_[k] != lie::contiguous || k == h() || (k == y() && leaves_)) continue;
    if (ahead_[k] != 0)
      soon_.push_back(where_[k] + ahead_[k]);
    else if (far_)
      soon_.push_back(where_[k] + n);
  }
}

/// The instructions, and in between as many fetches as fit into their time: hardware does not look so far ahead, and
/// all at once would wait.
void program_run::run_strip(std::size_t n, strip_states& states) {
  find_soon(n);
  std::size_t done = 0, fetched = 0;
  const auto share = [&](std::size_t cost) { return std::min(n, n * (done += cost) / cost_ / line * line + line); };
  for (const step& s : for_strip_) {
    if (s.scan != nullptr) {
      states.soon = soon_;
      states.soon_begin = fetched;
      states.soon_end = fetched = share(s.cost);
      s.run(where_.data(), 0, n, states);
      continue;
    }
    const std::size_t part = s.cost == 1 ? n : (n / s.cost / line + 1) * line;
    for (std::size_t first = 0; first < n; first += part) {
      const std::size_t end = share(1);
      for (const float* const p : soon_)
        for (std::size_t j = fetched; j < end; j += line) hwy::Prefetch(p + j);
      fetched = end;
      s.run(where_.data(), first, std::min(part, n - first), states);
    }
  }
}

/// `rows` rows along an axis of operand k, all axes below it, one after the other.
float* program_run::spread(const float* x, std::size_t k, std::size_t axis, std::size_t rows, float* to) const {
  const std::ptrdiff_t along = strides_of(axis)[k];
  if (axis == 0) {
    spread_(x, 0, along, 1, rows, to);
    return to + rows;
  }
  if (axis == 1) {
    spread_(x, along, strides_of(0)[k], rows, size_[0], to);
    return to + rows * size_[0];
  }
  for (std::size_t r = 0; r < rows; ++r)
    to = spread(x + static_cast<std::ptrdiff_t>(r) * along, k, axis - 1, size_[axis - 1], to);
  return to;
}
/// The same for h and y, from numbers one after the other to their places.
const float* program_run::gather(float* y, std::size_t k, std::size_t axis, std::size_t rows, const float* from) const {
  const std::ptrdiff_t along = strides_of(axis)[k];
  for (std::size_t r = 0; r < rows; ++r) {
    float* const row = y + static_cast<std::ptrdiff_t>(r) * along;
    if (axis == 0)
      *row = *from++;
    else
      from = gather(row, k, axis - 1, size_[axis - 1], from);
  }
  return from;
}

}  // namespace alphaform::cpu
