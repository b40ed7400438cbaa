// A filter is a product of spectra: transforms of zero padded channels, so long that what wraps around the end does not
// reach the tokens. The transposed filter has the conjugate spectrum.
#include <algorithm>
#include <alphaform/backends/cpu/filters/long_filter.hpp>
#include <alphaform/backends/reference/loops.hpp>
#include <cmath>
#include <limits>
#include <unsupported/Eigen/FFT>

namespace alphaform::cpu {
namespace {

using spectrum = Eigen::ArrayXcd;  // in float a large late token would blur a small early one
using strided = Eigen::Map<Eigen::ArrayXf, 0, Eigen::InnerStride<>>;
using const_strided = Eigen::Map<const Eigen::ArrayXf, 0, Eigen::InnerStride<>>;

Eigen::Index len(std::size_t n) { return static_cast<Eigen::Index>(n); }

/// The smallest 2^a 3^b 5^c from `least` on that is divisible by 4, which the transforms of real numbers want.
std::size_t transform_size(std::size_t least) {
  std::size_t best = std::numeric_limits<std::size_t>::max();
  for (std::size_t fives = 4; fives < best; fives *= 5)
    for (std::size_t odd = fives; odd < best; odd *= 3) {
      std::size_t n = odd;
      while (n < least) n *= 2;
      best = std::min(best, n);
    }
  return best;
}
std::size_t transform_size(std::size_t taps, std::size_t tokens) {
  return transform_size(tokens + std::min(taps, tokens) - 1);
}

/// The transforms of real sequences of one length; half a spectrum tells the other half.
class transforms final {
 public:
  explicit transforms(std::size_t n) : padded_(len(n)) { fft_.SetFlag(Eigen::FFT<double>::HalfSpectrum); }

  void forward(const_strided x, spectrum& to) {
    padded_.head(x.size()) = x.cast<double>();
    padded_.tail(padded_.size() - x.size()).setZero();
    to.resize(padded_.size() / 2 + 1);
    fft_.fwd(to.data(), padded_.data(), padded_.size());
  }
  const Eigen::ArrayXd& backward(const spectrum& s) {
    fft_.inv(padded_.data(), s.data(), padded_.size());
    return padded_;
  }

 private:
  Eigen::FFT<double> fft_;
  Eigen::ArrayXd padded_;
};

void filter(bool adjoint, view<const float> taps, view<const float> x, view<float> y) {
  const std::size_t tokens = y.of(axis::token), width = taps.of(axis::tap);
  const Eigen::InnerStride<> tap_step(-len(taps.step(axis::tap))), x_step(len(x.step(axis::token))),
      y_step(len(y.step(axis::token)));
  transforms transform(transform_size(width, tokens));
  spectrum response, s;
  const float* last_filter = nullptr;
  const auto first = [](const auto& v) { return v.slice(axis::token, 0, 1); };
  reference::each(
      first(y).size,
      [&](const float& tap, const float& from, float& to) {
        if (&tap != last_filter) {  // columns share a filter
          transform.forward({&tap, len(std::min(width, tokens)), tap_step}, response);
          if (adjoint) response = response.conjugate();
          last_filter = &tap;
        }
        transform.forward({&from, len(tokens), x_step}, s);
        s *= response;
        strided(&to, len(tokens), y_step) = transform.backward(s).head(len(tokens)).cast<float>();
      },
      taps.slice(axis::tap, width - 1, width), first(x), first(y));
}

}  // namespace

void long_filter(view<const float> taps, view<const float> x, view<float> y) { filter(false, taps, x, y); }
void long_filter_adjoint(view<const float> taps, view<const float> g, view<float> y) { filter(true, taps, g, y); }

// A measured ratio of times: products of the sums, which are fewer for the first tokens, for one n log2 n.
bool worth_transforming(std::size_t taps, std::size_t tokens) {
  const auto n = static_cast<double>(transform_size(taps, tokens));
  const auto k = static_cast<double>(std::min(taps, tokens));
  return k * (static_cast<double>(tokens) - (k - 1) / 2) > 20 * n * std::log2(n);
}

}  // namespace alphaform::cpu
