// RWKV-4 to RWKV-7 as loops over a state that is read before or after it is written. Peng et al. 2023, Sec. 3; Peng et
// al. 2024, Eq. 11 to 20; Peng et al. 2025, Eq. 4 to 19.
#include <alphaform/architectures/rwkv5.hpp>
#include <alphaform/architectures/rwkv7.hpp>

#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

TEST_CASE("RWKV-4 is a weighted mean of past values with a bonus for the current one") {
  const auto rwkv4 = [](const layer& l) {
    const array v = l("x", "TC"), k = l("k", "TC"), r = l("r", "TC");
    const array decay = l("time_decay", "C"), first = l("time_first", "C");
    array y = l.zeros("TC");
    for (index t = 0; t < l.T; ++t)
      for (index c = 0; c < l.C; ++c) {
        double above = std::exp(first(c) + k(t, c)) * v(t, c), below = std::exp(first(c) + k(t, c));
        for (index s = 0; s < t; ++s) {
          const double weight = std::exp(-static_cast<double>(t - 1 - s) * std::exp(decay(c)) + k(s, c));
          above += weight * v(s, c);
          below += weight;
        }
        y(t, c) = sigmoid(r(t, c)) * above / below;
      }
    return y;
  };
  is_defined_by("rwkv4", "TC", rwkv4);
}

/// y_t = r_t' (S_{t-1} + diag(u) k_t v_t'), then S_t = diag(w_t) S_{t-1} + k_t v_t'; GroupNorm of the heads.
array exclusive(const layer& l, const std::function<double(index t, index h, index n)>& w) {
  const array v = l("x", "THC"), k = l("k", "THN"), r = l("r", "THN"), u = l("time_faaaa", "HN");
  array S = l.zeros("HNC"), y = l.zeros("THC");
  for (index t = 0; t < l.T; ++t)
    for (index h = 0; h < l.H; ++h)
      for (index n = 0; n < l.N; ++n)
        for (index c = 0; c < l.C; ++c) {
          const double written = k(t, h, n) * v(t, h, c);
          y(t, h, c) += r(t, h, n) * (S(h, n, c) + u(h, n) * written);
          S(h, n, c) = w(t, h, n) * S(h, n, c) + written;
        }
  return standardised(y, l.C, l.number("eps")) * l("ln_x.weight", "HC") + l("ln_x.bias", "HC");
}
array rwkv5(const layer& l) {
  const array d = l("time_decay", "HN");
  return exclusive(l, [&](index, index h, index n) { return std::exp(-std::exp(d(h, n))); });
}

TEST_CASE("RWKV-5 reads its state before the current token is written, with a fixed decay") {
  is_defined_by("rwkv5", "THC", [](const layer& l) { return rwkv5(l) * each(l("g", "THC"), silu); });
  is_defined_by(as_architecture<architectures::rwkv5_1>(), "THC", rwkv5);
}
TEST_CASE("RWKV-6 is RWKV-5 with a decay of its own for every token") {
  const auto rwkv6 = [](const layer& l) {
    const array d = l("w", "THN");
    const array y = exclusive(l, [&](index t, index h, index n) { return std::exp(-std::exp(d(t, h, n))); });
    return y * each(l("g", "THC"), silu);
  };
  is_defined_by("rwkv6", "THC", rwkv6);
}

array rwkv7(const layer& l, bool first) {
  array v = l("x", "THC");
  if (!first) {
    const array early = l("v_first", "THC"), n = l("n", "THC");
    for (index i = 0; i < v.size(); ++i) v[i] += (early[i] - v[i]) * sigmoid(n[i]);
  }
  const array r = l("r", "THN"), own = l("k", "THN"), d = l("w", "THN"), a = each(l("a", "THN"), sigmoid);
  const array k_a = l("k_a", "HN"), r_k = l("r_k", "HN");
  const array removed =
      of_length_1(own * l("k_k", "HN"), l.N, l.number("l2_eps"), std::sqrt(std::max(0.0, l.number("l2_floor"))));
  array S = l.zeros("HNC"), y = l.zeros("THC"), bonus = l.zeros("TH");
  for (index t = 0; t < l.T; ++t)
    for (index h = 0; h < l.H; ++h) {
      for (index c = 0; c < l.C; ++c) {
        double held = 0;  // along the removal key, before the decay
        for (index n = 0; n < l.N; ++n) held += removed(t, h, n) * S(h, n, c);
        for (index n = 0; n < l.N; ++n) {
          const double k = own(t, h, n) * (1 + (a(t, h, n) - 1) * k_a(h, n));
          const double w = std::exp(-std::exp(-0.5) * sigmoid(d(t, h, n)));
          S(h, n, c) = w * S(h, n, c) - a(t, h, n) * removed(t, h, n) * held + k * v(t, h, c);
          y(t, h, c) += r(t, h, n) * S(h, n, c);
        }
      }
      for (index n = 0; n < l.N; ++n)
        bonus(t, h) += r(t, h, n) * own(t, h, n) * (1 + (a(t, h, n) - 1) * k_a(h, n)) * r_k(h, n);
    }
  y = standardised(y, l.C, l.number("eps")) * l("ln_x.weight", "HC") + l("ln_x.bias", "HC");
  for (index t = 0; t < l.T; ++t)
    for (index h = 0; h < l.H; ++h)
      for (index c = 0; c < l.C; ++c) y(t, h, c) += bonus(t, h) * v(t, h, c);
  return y * l("g", "THC");
}

TEST_CASE("RWKV-7 decays and removes along a key of length 1, and adds a bonus after its norm") {
  const auto official = [](layer& l) {  // no length below 1e-12
    l.set("l2_eps", 0);
    l.set("l2_floor", 1e-24);
  };
  const auto fused = [](layer& l) {  // an epsilon inside the root
    l.set("l2_eps", 1e-6);
    l.set("l2_floor", 0);
  };
  is_defined_by(
      "rwkv7", "THC", [](const layer& l) { return rwkv7(l, false); }, official);
  is_defined_by(
      "rwkv7", "THC", [](const layer& l) { return rwkv7(l, false); }, fused);
  is_defined_by(
      as_architecture<architectures::rwkv7_first>(), "THC", [](const layer& l) { return rwkv7(l, true); }, official);
}

// Token shifts. That of RWKV-4 and 5 multiplies the current token by mu; that of RWKV-6 and 7 the difference to it.

array kept(const array& u, const array& mu) {
  array y = u * mu;
  const array last = before(u);
  for (index i = 0; i < y.size(); ++i) y[i] += (1 - mu[i % mu.size()]) * last[i];
  return y;
}
array moved(const array& u, const array& share) {
  array y = u;
  const array last = before(u);
  for (index i = 0; i < y.size(); ++i) y[i] += (last[i] - u[i]) * share[i % share.size()];
  return y;
}
/// An input and the names and axes that it has.
struct shifted_input final {
  std::string_view input, letters;
  const char *weight, *columns, *mu;
};

TEST_CASE("the inputs of RWKV-4 and RWKV-5 are linear maps of the current token and the one before") {
  const auto check = [](std::string_view name, const shifted_input& i) {
    projects(name, i.input, i.letters, [&](const layer& l) {
      return matrix(l(i.weight, i.columns), kept(l("u", "TC"), l(i.mu, "C")), l.shape(i.letters));
    });
  };
  for (const shifted_input& i : {shifted_input{"x", "TC", "value.weight", "CC", "time_mix_value"},
                                 shifted_input{"k", "TC", "key.weight", "CC", "time_mix_key"},
                                 shifted_input{"r", "TC", "receptance.weight", "CC", "time_mix_receptance"}})
    check("rwkv4", i);
  for (const shifted_input& i : {shifted_input{"x", "THC", "value.weight", "HCC", "time_mix_v"},
                                 shifted_input{"k", "THN", "key.weight", "HNC", "time_mix_k"},
                                 shifted_input{"r", "THN", "receptance.weight", "HNC", "time_mix_r"},
                                 shifted_input{"g", "THC", "gate.weight", "HCC", "time_mix_g"}})
    check("rwkv5", i);
}

/// RWKV-6's shifted u of one input: the share of the token before is maa + W2 tanh(W1 (u shifted by maa_x)).
array data_shifted(const layer& l, const std::string& which) {
  const array u = l("u", "TC");
  const array low = matrix(l("maa_w1[" + which + "]", "RC"), moved(u, l("maa_x", "C")), l.shape("TR"));
  const array share =
      matrix(l("maa_w2[" + which + "]", "CR"), each(low, [](double x) { return std::tanh(x); }), l.shape("TC"));
  return moved(u, share + l("maa_" + which, "C"));
}

TEST_CASE("RWKV-6's token shifts depend on the token") {
  for (const shifted_input& i :
       {shifted_input{"x", "THC", "value.weight", "HCC", "v"}, shifted_input{"k", "THN", "key.weight", "HNC", "k"},
        shifted_input{"r", "THN", "receptance.weight", "HNC", "r"},
        shifted_input{"g", "THC", "gate.weight", "HCC", "g"}})
    projects("rwkv6", i.input, i.letters,
             [&](const layer& l) { return matrix(l(i.weight, i.columns), data_shifted(l, i.mu), l.shape(i.letters)); });
  projects("rwkv6", "w", "THN", [](const layer& l) {
    const array low = matrix(l("decay_w1", "RC"), data_shifted(l, "w"), l.shape("TR"));
    return matrix(l("decay_w2", "HNR"), each(low, [](double x) { return std::tanh(x); }), l.shape("THN")) +
           l("time_decay", "HN");
  });
}

TEST_CASE("RWKV-7's inputs are linear or low-rank maps of shifted tokens") {
  for (const shifted_input& i :
       {shifted_input{"x", "THC", "value.weight", "HCC", "x_v"}, shifted_input{"k", "THN", "key.weight", "HNC", "x_k"},
        shifted_input{"r", "THN", "receptance.weight", "HNC", "x_r"}})
    projects("rwkv7", i.input, i.letters, [&](const layer& l) {
      return matrix(l(i.weight, i.columns), moved(l("u", "TC"), l(i.mu, "C")), l.shape(i.letters));
    });
  const auto low_rank = [](const layer& l, const std::string& name, const char* mu, double (*inner)(double)) {
    const std::string letters = name == "g" || name == "v" ? "HC" : "HN";
    const array low = matrix(l(name + "1", "RC"), moved(l("u", "TC"), l(mu, "C")), l.shape("TR"));
    const array y = matrix(l(name + "2", letters + "R"), each(low, inner), l.shape("T" + letters));
    return name == "g" ? y : y + l(name + "0", letters);
  };
  const auto same = [](double x) { return x; };
  projects("rwkv7", "w", "THN",
           [&](const layer& l) { return low_rank(l, "w", "x_w", [](double x) { return std::tanh(x); }); });
  projects("rwkv7", "a", "THN", [&](const layer& l) { return low_rank(l, "a", "x_a", same); });
  projects("rwkv7", "n", "THC", [&](const layer& l) { return low_rank(l, "v", "x_v", same); });
  projects("rwkv7", "g", "THC", [&](const layer& l) { return low_rank(l, "g", "x_g", sigmoid); });
}

}  // namespace
}  // namespace alphaform::test::layers
