// Softmax attention and linear attentions as loops: Vaswani et al. 2017; Katharopoulos et al. 2020 and Sun et al. 2023
// as flash-linear-attention has them; Yang et al. 2024; Katsch 2023; Beck et al. 2024 as xLSTM-7B has it.
#include <alphaform/architectures/gla.hpp>
#include <alphaform/architectures/linear_attention.hpp>
#include <alphaform/architectures/retnet.hpp>

#include "layers/layer.hpp"

namespace alphaform::test::layers {
namespace {

double root(index n) { return std::sqrt(static_cast<double>(n)); }

/// Angles a token, 10000^(-2 j / N) for entries j and j + N/2.
void rotary_frequencies(layer& l) {
  const index half = l.N / 2;
  l.set_each("frequencies", [=](index n) {
    return std::pow(10000.0, -2 * static_cast<double>(n % half) / static_cast<double>(2 * half));
  });
}
/// Entries j and j + N/2 as a point of the plane, turned by t times their frequency; every N numbers in a row are a
/// token's, at some group and head.
array rotated(const layer& l, const array& x) {
  const array angles = l("frequencies", "N");
  array y = x;
  for (index i = 0; i < x.size(); i += l.N)
    for (index j = 0; j < l.N / 2; ++j) {
      const double angle = static_cast<double>(i / x.width()) * angles(j);
      const double a = x[i + j], b = x[i + j + l.N / 2];
      y[i + j] = a * std::cos(angle) - b * std::sin(angle);
      y[i + j + l.N / 2] = b * std::cos(angle) + a * std::sin(angle);
    }
  return y;
}

TEST_CASE("softmax attention weighs the last tokens of its window by the softmax of rotated products") {
  const auto softmax = [](const layer& l) {
    const array x = l("x", "TGHC"), q = rotated(l, l("q", "TGHN")), k = rotated(l, l("k", "TGN"));
    array y = l.zeros("TGHC");
    for (index t = 0; t < l.T; ++t)
      for (index g = 0; g < l.G; ++g)
        for (index h = 0; h < l.H; ++h) {
          double sum = 0;
          for (index s = std::max<index>(0, t - 2); s <= t; ++s) {  // a window of 3 tokens
            double product = 0;
            for (index n = 0; n < l.N; ++n) product += q(t, g, h, n) * k(s, g, n) / root(l.N);
            sum += std::exp(product);
            for (index c = 0; c < l.C; ++c) y(t, g, h, c) += std::exp(product) * x(s, g, h, c);
          }
          for (index c = 0; c < l.C; ++c) y(t, g, h, c) /= sum;
        }
    return y;
  };
  is_defined_by("attention", "TGHC", softmax, rotary_frequencies);
}

/// o_t = sum_n q_t[n] S_t[n] / sqrt(N), S_t[n] = a_t[n] S_{t-1}[n] + k_t[n] v_t: queries [T, G, H, N], keys and decays
/// [T, G, N] for all heads of a group.
array retained(const layer& l, const array& q, const array& k, const array& v,
               const std::function<double(index t, index g, index h, index n)>& decay) {
  array S = l.zeros("GHNC"), y = l.zeros("TGHC");
  for (index t = 0; t < l.T; ++t)
    for (index g = 0; g < l.G; ++g)
      for (index h = 0; h < l.H; ++h)
        for (index n = 0; n < l.N; ++n)
          for (index c = 0; c < l.C; ++c) {
            S(g, h, n, c) = decay(t, g, h, n) * S(g, h, n, c) + k(t, g, n) * v(t, g, h, c);
            y(t, g, h, c) += q(t, g, h, n) * S(g, h, n, c) / root(l.N);
          }
  return y;
}
array normalised(const layer& l, const array& y, const std::string& weight) {
  return over_root_mean_square(y, l.C, l.number("eps")) * l(weight, "C");
}

/// Values with a filter for all heads of a group.
array value_filtered(const layer& l, const array& x) {
  const array w = l("v_conv1d.weight", "GCK"), b = l("v_conv1d.bias", "GC");
  array y = l.zeros("TGHC");
  for (index t = 0; t < l.T; ++t)
    for (index g = 0; g < l.G; ++g)
      for (index h = 0; h < l.H; ++h)
        for (index c = 0; c < l.C; ++c) {
          double sum = b(g, c);
          for (index k = 0; k < l.K && k <= t; ++k) sum += w(g, c, l.K - 1 - k) * x(t - k, g, h, c);
          y(t, g, h, c) = silu(sum);
        }
  return y;
}
struct qkv final {
  array q, k, v;
};
/// As they are, or each through its filter and SiLU.
qkv inputs_of(const layer& l, bool filters) {
  if (!filters) return {l("q", "TGHN"), l("k", "TGN"), l("x", "TGHC")};
  return {each(filtered(l("q", "TGHN"), l("q_conv1d.weight", "GHNK")) + l("q_conv1d.bias", "GHN"), silu),
          each(filtered(l("k", "TGN"), l("k_conv1d.weight", "GNK")) + l("k_conv1d.bias", "GN"), silu),
          value_filtered(l, l("x", "TGHC"))};
}

array retnet(const layer& l, bool filters, bool gated) {
  const qkv i = inputs_of(l, filters);
  const auto decay = [&](index, index g, index h, index) {
    return 1 - std::exp2(-5.0 - static_cast<double>(g * l.H + h));
  };
  const array y = normalised(l, retained(l, rotated(l, i.q), rotated(l, i.k), i.v, decay), "g_norm.weight");
  return gated ? y * each(l("g", "TGHC"), silu) : y;
}
TEST_CASE("RetNet is a recurrence with a fixed decay a head on rotated queries and keys") {
  const auto prepare = [](layer& l) {
    rotary_frequencies(l);
    l.set_each("gamma", [](index h) { return 1 - std::exp2(-5.0 - static_cast<double>(h)); });
  };
  is_defined_by(
      "retnet", "TGHC", [](const layer& l) { return retnet(l, false, true); }, prepare);
  is_defined_by(
      as_architecture<architectures::retnet_with<true, false>>(), "TGHC",
      [](const layer& l) { return retnet(l, true, false); }, prepare);
}

array gla(const layer& l, bool filters, bool gated) {
  const qkv i = inputs_of(l, filters);
  const array a = l("a", "TGN");
  const double least = l.number("log_decay_min");
  const auto decay = [&](index t, index g, index, index n) {
    return std::exp(std::max(std::log(sigmoid(a(t, g, n))) / 16, least));
  };
  const array y = normalised(l, retained(l, i.q, i.k, i.v, decay), "g_norm.weight");
  return gated ? y * each(l("g", "TGHC"), silu) : y;
}
TEST_CASE("gated linear attention decays by key channel and token") {
  const auto prepare = [](layer& l) {
    l.set("gate_scale", 1.0 / 16);
    l.set("log_decay_min", -0.05);  // some decays are below it
  };
  is_defined_by(
      "gla", "TGHC", [](const layer& l) { return gla(l, false, true); }, prepare);
  is_defined_by(
      as_architecture<architectures::gla_with<true, false>>(), "TGHC",
      [](const layer& l) { return gla(l, true, false); }, prepare);
}

/// W x + b for every N numbers in a row of the result and every R of x.
array along_features(const layer& l, const std::string& map, const array& x, std::vector<index> shape) {
  const array W = l(map + ".weight", "NR"), b = l(map + ".bias", "N");
  array y(std::move(shape));
  for (index row = 0; row < x.size() / l.R; ++row)
    for (index n = 0; n < l.N; ++n) {
      y[row * l.N + n] = b(n);
      for (index r = 0; r < l.R; ++r) y[row * l.N + n] += W(n, r) * x[row * l.R + r];
    }
  return y;
}
using architectures::feature_map;
array feature(const layer& l, feature_map map, const std::string& input, const std::string& letters) {
  const std::string name = "feature_map_" + input + ".layer";
  const auto learnt = [&](const char* which) {
    return along_features(l, name + which, l(input, letters + "R"), l.shape(letters + "N"));
  };
  const auto relu = [](double x) { return x > 0 ? x : 0; };
  switch (map) {
    case feature_map::elementwise_product:
      return learnt("1") * learnt("2");
    case feature_map::t2r:
      return each(learnt("1"), relu);
    case feature_map::elu:
      return each(l(input, letters + "N"), [](double x) { return x > 0 ? x + 1 : std::exp(x); });
    case feature_map::relu:
      return each(l(input, letters + "N"), relu);
    default:
      return l(input, letters + "N");
  }
}
template <feature_map Map>
void is_linear_attention(const architecture& a) {
  const auto linear_attention = [](const layer& l) {
    const auto forget_nothing = [](index, index, index, index) { return 1.0; };
    return normalised(
        l, retained(l, feature(l, Map, "q", "TGH"), feature(l, Map, "k", "TG"), l("x", "TGHC"), forget_nothing),
        "norm.weight");
  };
  is_defined_by(a, "TGHC", linear_attention);
}
TEST_CASE("linear attention sums the products of its feature maps") {
  is_linear_attention<feature_map::elementwise_product>(find_architecture("linear_attention"));
  const auto with = []<feature_map Map>() {
    is_linear_attention<Map>(as_architecture<architectures::linear_attention_with<Map>>());
  };
  with.operator()<feature_map::t2r>();
  with.operator()<feature_map::elu>();
  with.operator()<feature_map::relu>();
  with.operator()<feature_map::identity>();
}

TEST_CASE("GateLoop decays and turns by a complex number a head and token, and reads the real part") {
  const auto gateloop = [](const layer& l) {
    const array x = l("x", "THC"), q = l("q", "THN"), k = l("k", "THN"), z = l("a", "THZ");
    array re = l.zeros("HNC"), im = l.zeros("HNC"), y = l.zeros("THC");
    for (index t = 0; t < l.T; ++t)
      for (index h = 0; h < l.H; ++h) {
        const double magnitude = sigmoid(std::hypot(z(t, h, 0), z(t, h, 1)));
        const double phase = std::atan2(z(t, h, 1), z(t, h, 0));
        const double a = magnitude * std::cos(phase), b = magnitude * std::sin(phase);
        for (index n = 0; n < l.N; ++n)
          for (index c = 0; c < l.C; ++c) {
            const double old = re(h, n, c);
            re(h, n, c) = a * old - b * im(h, n, c) + k(t, h, n) * x(t, h, c);
            im(h, n, c) = a * im(h, n, c) + b * old;
            y(t, h, c) += q(t, h, n) * re(h, n, c);
          }
      }
    return y * each(l("g", "THC"), silu);
  };
  is_defined_by("gateloop", "THC", gateloop);
}

TEST_CASE("mLSTM is its stabilised recurrence with a normaliser that is at least 1") {
  const auto mlstm = [](const layer& l) {
    const array x = l("x", "THC"), q = l("q", "THN"), k = l("k", "THN"), o = l("o", "THC");
    const double cap = l.number("gate_cap");
    const auto capped = [cap](double gate) { return cap * std::tanh(gate / cap); };
    const array in = each(l("i", "TH"), capped), forget = each(l("f", "TH"), capped);
    array S = l.zeros("HNC"), sum = l.zeros("HN"), m = l.zeros("H"), y = l.zeros("THC");
    for (index t = 0; t < l.T; ++t)
      for (index h = 0; h < l.H; ++h) {
        const double log_f = std::log(sigmoid(forget(t, h))), peak = std::max(log_f + m(h), in(t, h));
        const double keep = std::exp(log_f + m(h) - peak), add = std::exp(in(t, h) - peak);
        m(h) = peak;
        double reach = 0;
        for (index n = 0; n < l.N; ++n) {
          sum(h, n) = keep * sum(h, n) + add * k(t, h, n);
          reach += sum(h, n) * q(t, h, n) / root(l.N);
          for (index c = 0; c < l.C; ++c) {
            S(h, n, c) = keep * S(h, n, c) + add * k(t, h, n) * x(t, h, c);
            y(t, h, c) += S(h, n, c) * q(t, h, n) / root(l.N);
          }
        }
        const double below = std::max(std::abs(reach), std::exp(-peak)) + l.number("cell_eps");
        for (index c = 0; c < l.C; ++c) y(t, h, c) /= below;
      }
    return standardised(y, l.C, l.number("eps")) * l("multihead_norm.weight", "HC") * each(o, sigmoid);
  };
  // An epsilon that counts, and a cap that gates of order 1 feel.
  is_defined_by("mlstm", "THC", mlstm, [](layer& l) {
    l.set("gate_cap", 0.7);
    l.set("cell_eps", 0.01);
  });
  // Inputs at which the stabiliser rises and the normaliser is above and below 1.
  is_defined_by("mlstm", "THC", mlstm, [](layer& l) {
    l.set("gate_cap", 15);
    l.set("cell_eps", 0.01);
    l.set_each("i", [](index i) { return 4 * std::sin(static_cast<double>(5 * i + 1)); });
  });
}

}  // namespace
}  // namespace alphaform::test::layers
