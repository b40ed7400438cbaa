// Strips of tokens with channels as lanes, turned into one line of tokens a channel; sums of decays along them.
// Included once for each set of instructions.
#include <alphaform/backends/cpu/maps/panels.hpp>
#include <alphaform/backends/cpu/maps/vectors-inl.hpp>
#include <alphaform/backends/cpu/products/products-inl.hpp>

#if defined(ALPHAFORM_CPU_MAPS_LINES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef ALPHAFORM_CPU_MAPS_LINES_INL
#undef ALPHAFORM_CPU_MAPS_LINES_INL
#else
#define ALPHAFORM_CPU_MAPS_LINES_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace alphaform::cpu::HWY_NAMESPACE {

/// The part of `count` tokens from `first` on that a map has.
struct token_range final {
  std::size_t before, begin, end;  ///< `before` of them come before token 0
  token_range(std::ptrdiff_t first, std::size_t count, std::size_t tokens)
      : before(first < 0 ? static_cast<std::size_t>(-first) : 0),
        begin(first < 0 ? 0 : static_cast<std::size_t>(first)),
        end(std::max(begin, std::min(tokens, begin + count - std::min(count, before)))) {}
};

/// Lays out what each(begin, end, f) makes of `count` tokens from `first` on, `length` in all; other tokens are 0. Then
/// `scan` may go over the strip, given the number of tokens in front, inside and in all.
template <class Each, class Scan>
HWY_INLINE void ToStrip(std::ptrdiff_t first, std::size_t count, std::size_t tokens, std::size_t length, float* strip,
                        Each each, Scan scan) {
  const map_lanes d;
  const std::size_t width = hn::Lanes(d);
  const token_range r(first, count, tokens);
  float* const filled = strip + r.before * width;
  std::fill(strip, filled, 0.0f);
  std::fill(filled + (r.end - r.begin) * width, strip + length * width, 0.0f);
  each(r.begin, r.end,
       [d, width, filled](std::size_t i, map_vector x) HWY_ATTR { hn::Store(x, d, filled + i * width); });
  scan(strip, r.before, r.end - r.begin, length);
}
/// The same as one line of tokens a channel.
template <class Each, class Scan>
HWY_INLINE void ToLines(std::ptrdiff_t first, std::size_t count, std::size_t tokens, std::size_t length, float* strip,
                        maps::lines& to, Each each, Scan scan) {
  const map_lanes d;
  const std::size_t width = hn::Lanes(d);
  ToStrip(first, count, tokens, length, strip, each, scan);
  transpose(d, strip, width, length, width, to.at.get(), to.length);
}

/// Sums of decays between a node's middle and its rows or columns, which grow away from it also where there are no
/// tokens.
class node_sums {
  /// What lays out decays.
  HWY_INLINE auto Decays() const {
    return [this](std::size_t begin, std::size_t end, auto f)
               HWY_ATTR { EachDecay(m_, begin, end, c_, n_, count_, f); };
  }

 public:
  node_sums(const maps::channels& m, const maps::decay_totals& totals, maps::panel_scratch& w, std::size_t c,
            std::size_t n, std::size_t count)
      : m_(m), totals_(totals), w_(w), c_(c), n_(n), count_(count) {}

  /// As lines, or with channels side by side.
  HWY_INLINE void Rows(const maps::node& k, bool by_token) const {
    const map_vector sum = Between(k.middle, k.row);
    const bool exclusive = m_.of.core.exclusive;
    const auto scan = [sum, exclusive](float* strip, std::size_t, std::size_t, std::size_t length) HWY_ATTR {
      const map_lanes d;
      map_vector far = sum;
      for (; length > 0; --length, strip += hn::Lanes(d)) {
        const map_vector next = hn::Add(far, hn::Load(d, strip));
        hn::Store(exclusive ? far : next, d, strip);
        far = next;
      }
    };
    const auto first = static_cast<std::ptrdiff_t>(k.row);
    const std::size_t length = maps::panel_lines(k.rows) * maps::leaf_tokens;
    if (by_token)
      ToStrip(first, k.rows, m_.tokens, length, w_.row_sum.at.get(), Decays(), scan);
    else
      Lines(first, k.rows, length, w_.row_sum, scan);
  }
  HWY_INLINE void Columns(const maps::node& k) const {
    const map_vector sum = Between(k.column + k.columns, k.middle);
    const std::size_t count = k.columns + m_.reach();
    Lines(static_cast<std::ptrdiff_t>(k.column) - static_cast<std::ptrdiff_t>(m_.reach()), count,
          (count / maps::leaf_tokens + 1) * maps::leaf_tokens, w_.column_sum,
          [sum](float* strip, std::size_t before, std::size_t tokens, std::size_t) HWY_ATTR {
            const map_lanes d;
            map_vector far = sum;
            for (float* p = strip + (before + tokens) * hn::Lanes(d); p != strip;) {
              p -= hn::Lanes(d);
              const map_vector next = hn::Add(far, hn::Load(d, p));
              hn::Store(far, d, p);
              far = next;
            }
          });
  }

 private:
  template <class Scan>
  HWY_INLINE void Lines(std::ptrdiff_t first, std::size_t count, std::size_t length, maps::lines& to, Scan scan) const {
    ToLines(first, count, m_.tokens, length, w_.strip.at.get(), to, Decays(), scan);
  }
  HWY_INLINE map_vector Between(std::size_t begin, std::size_t end) const {
    const map_lanes d;
    map_vector sum = hn::Zero(d);
    if (begin == end) return sum;
    HWY_ALIGN float lane[most_lanes] = {};
    for (std::size_t k = begin / totals_.side; k < end / totals_.side; ++k) {
      const float* from = totals_.sums.data() + (k * m_.sums() + n_) * m_.count + c_;
      std::copy_n(from, count_, lane);
      sum = hn::Add(sum, hn::Load(d, lane));
    }
    return sum;
  }

  const maps::channels& m_;
  const maps::decay_totals& totals_;
  maps::panel_scratch& w_;
  std::size_t c_, n_, count_;
};

}  // namespace alphaform::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // the guard of this target
