// Layers with complex states or with one filter for every text, in complex arithmetic and as sums over lags: HGRN as
// first published, LRU, S5, H3 and Hyena. Qin et al. 2023; Orvieto et al. 2023; Smith et al. 2023; Fu et al. 2023; Poli
// et al. 2023.
#include <complex>

#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

using complex = std::complex<double>;

TEST_CASE("HGRN as first published turns its state by an angle, and norms both parts together before the gate") {
  const auto hgrn = [](const layer& l) {
    const array c = each(l("x", "TCZ"), silu), f = each(l("f", "TC"), sigmoid), bound = l("lower_bound", "C");
    const array theta = l("theta", "C");
    std::vector<complex> h(static_cast<std::size_t>(l.C));
    array y = l.zeros("TCZ");
    for (index t = 0; t < l.T; ++t)
      for (index e = 0; e < l.C; ++e) {
        const double lambda = bound(e) + (1 - bound(e)) * f(t, e);
        complex& state = h[static_cast<std::size_t>(e)];
        state = lambda * std::exp(complex(0, theta(e))) * state + (1 - lambda) * complex(c(t, e, 0), c(t, e, 1));
        y(t, e, 0) = state.real();
        y(t, e, 1) = state.imag();
      }
    return (standardised(y, 2 * l.C, l.number("eps")) * l("norm.weight", "CZ") + l("norm.bias", "CZ")) *
           each(l("g", "TCZ"), silu);
  };
  is_defined_by("hgrn_complex", "TCZ", hgrn);
}

/// The sum over lags of Re(C lambda^lag B) x with complex C [C, N] and B [N, C], the latter times `in`.
array diagonal_state_space(const layer& l, const std::vector<complex>& lambda, const std::vector<complex>& in) {
  const array x = l("x", "TC"), Br = l("B_re", "NC"), Bi = l("B_im", "NC"), Cr = l("C_re", "CN"), Ci = l("C_im", "CN");
  array y = l.zeros("TC");
  for (index t = 0; t < l.T; ++t)
    for (index s = 0; s <= t; ++s)
      for (index to = 0; to < l.C; ++to)
        for (index from = 0; from < l.C; ++from)
          for (index n = 0; n < l.N; ++n) {
            const auto k = static_cast<std::size_t>(n);
            const complex B = in[k] * complex(Br(n, from), Bi(n, from)), C(Cr(to, n), Ci(to, n));
            y(t, to) += (C * std::pow(lambda[k], static_cast<int>(t - s)) * B).real() * x(s, from);
          }
  return y;
}

TEST_CASE("LRU is the real part of a complex diagonal recurrence, with a skip") {
  const auto lru = [](const layer& l) {
    const array nu = l("nu_log", "N"), theta = l("theta_log", "N"), gamma = l("gamma_log", "N");
    std::vector<complex> lambda, in;
    for (index n = 0; n < l.N; ++n) {
      lambda.push_back(std::exp(complex(-std::exp(nu(n)), std::exp(theta(n)))));
      in.emplace_back(std::exp(gamma(n)));
    }
    return diagonal_state_space(l, lambda, in) + l("x", "TC") * l("D", "C");
  };
  is_defined_by("lru", "TC", lru);
}
TEST_CASE("LRU's output is a gated linear unit of GELU") {
  const auto unit = [](const layer& l) {
    const array g = each(l("y", "TC"), gelu),
                one = matrix(l("out1.weight", "CC"), g, l.shape("TC")) + l("out1.bias", "C");
    return one * each(matrix(l("out2.weight", "CC"), g, l.shape("TC")) + l("out2.bias", "C"), sigmoid);
  };
  is_value(find_architecture("lru").output, "TC", unit);
}

TEST_CASE("S5 holds its input for a step and reads twice the real part, for states in conjugate pairs") {
  const auto s5 = [](const layer& l) {
    const array re = l("Lambda_re", "N"), im = l("Lambda_im", "N"), step = l("log_step", "N");
    std::vector<complex> lambda, in;
    for (index n = 0; n < l.N; ++n) {
      const complex rate(re(n), im(n)), after = std::exp(rate * std::exp(step(n)));
      lambda.push_back(after);
      in.push_back((after - 1.0) / rate);
    }
    return each(diagonal_state_space(l, lambda, in), [](double y) { return 2 * y; }) + l("x", "TC") * l("D", "C");
  };
  is_defined_by("s5", "TC", s5);
}

TEST_CASE("H3 filters keys, then their products with values by a state space model, and reads with the query") {
  const auto h3 = [](const layer& l) {
    const array x = l("x", "THC"), q = l("q", "THN"), raw = l("k", "THN");
    const array k = filtered(raw, l("ssm_k_kernel", "HNK")) + raw * l("ssm_k_D", "HN");
    const array log_dt = l("kernel.log_dt", "H"), A_re = l("kernel.inv_A_real", "HR"), A_im = l("kernel.A_imag", "HR");
    const array C_re = l("kernel.C_re", "HR"), C_im = l("kernel.C_im", "HR"), D = l("D", "H");
    array taps = l.zeros("TH");  // of every lag: bilinear rule for conjugate pairs
    for (index lag = 0; lag < l.T; ++lag)
      for (index h = 0; h < l.H; ++h)
        for (index r = 0; r < l.R; ++r) {
          const complex A(-std::exp(A_re(h, r)), A_im(h, r)), C(C_re(h, r), C_im(h, r));
          const complex step = A * std::exp(log_dt(h));
          taps(lag, h) += 2 * (C * std::exp(log_dt(h)) / (1.0 - step / 2.0) *
                               std::pow((1.0 + step / 2.0) / (1.0 - step / 2.0), static_cast<double>(lag)))
                                  .real();
        }
    array y = l.zeros("THC");
    for (index t = 0; t < l.T; ++t)
      for (index h = 0; h < l.H; ++h)
        for (index n = 0; n < l.N; ++n)
          for (index c = 0; c < l.C; ++c) {
            double z = D(h) * k(t, h, n) * x(t, h, c);
            for (index s = 0; s <= t; ++s) z += taps(t - s, h) * k(s, h, n) * x(s, h, c);
            y(t, h, c) += q(t, h, n) * z;
          }
    return y;
  };
  is_defined_by("h3", "THC", h3);
}

/// Tap `lag` of Hyena's long filter for every channel: a network with sines on what the lag's position is encoded as,
/// times a window. The stored positions have the current token last.
std::vector<double> long_tap(const layer& l, index lag) {
  const array z = l("pos_emb.z", "RK"), times = l("pos_emb.t", "K"), delta = l("modulation.deltas", "C");
  std::vector<double> now;
  for (index r = 0; r < l.R; ++r) now.push_back(z(r, l.K - 1 - lag));
  const auto along = [&](const std::string& name, const char* letters, const char* bias, const char* frequency) {
    const array W = l(name + ".weight", letters);
    const auto inputs = static_cast<index>(now.size()), outputs = W.size() / inputs;
    std::vector<double> next;
    for (index o = 0; o < outputs; ++o) {
      double sum = bias[0] != 0 ? l(name + ".bias", bias)(o) : 0;
      for (index i = 0; i < inputs; ++i) sum += W(o, i) * now[static_cast<std::size_t>(i)];
      next.push_back(frequency[0] != 0 ? std::sin(l(frequency, bias)(o) * sum) : sum);
    }
    now = next;
  };
  along("implicit_filter.0", "NR", "N", "freq[state]");
  along("implicit_filter.2", "RN", "R", "freq[rank]");
  along("implicit_filter.4", "NR", "N", "freq[state]");
  along("implicit_filter.6", "CN", "", "");
  for (index c = 0; c < l.C; ++c)
    now[static_cast<std::size_t>(c)] *=
        std::exp(-times(l.K - 1 - lag) * std::abs(delta(c))) + l.number("modulation.shift");
  return now;
}

TEST_CASE("Hyena gates, filters with taps that a network makes from positions, and gates again") {
  const auto hyena = [](const layer& l) {
    const auto passed = [&](const char* input, const std::string& slice) {
      return filtered(l(input, "TC"), l("short_filter.weight[" + slice + "]", "CK")) +
             l("short_filter.bias[" + slice + "]", "C");
    };
    const array v = passed("x", "v") * passed("q", "x1"), skip = l("filter_fn.bias", "C");
    array y = v * skip;
    for (index lag = 0; lag < std::min(l.K, l.T); ++lag) {
      const std::vector<double> taps = long_tap(l, lag);
      for (index t = lag; t < l.T; ++t)
        for (index c = 0; c < l.C; ++c) y(t, c) += taps[static_cast<std::size_t>(c)] * v(t - lag, c);
    }
    return y * passed("p", "x0");
  };
  is_defined_by("hyena", "TC", hyena);
}

}  // namespace
}  // namespace alphaform::test::layers
