// A new architecture is its header and its place in this tuple.
#include <alphaform/architectures/attention.hpp>
#include <alphaform/architectures/delta_net.hpp>
#include <alphaform/architectures/gated_delta_net.hpp>
#include <alphaform/architectures/gateloop.hpp>
#include <alphaform/architectures/gla.hpp>
#include <alphaform/architectures/griffin.hpp>
#include <alphaform/architectures/h3.hpp>
#include <alphaform/architectures/hgrn.hpp>
#include <alphaform/architectures/hgrn2.hpp>
#include <alphaform/architectures/hgrn_complex.hpp>
#include <alphaform/architectures/hyena.hpp>
#include <alphaform/architectures/kda.hpp>
#include <alphaform/architectures/linear_attention.hpp>
#include <alphaform/architectures/lru.hpp>
#include <alphaform/architectures/mamba.hpp>
#include <alphaform/architectures/mamba2.hpp>
#include <alphaform/architectures/mingru.hpp>
#include <alphaform/architectures/minlstm.hpp>
#include <alphaform/architectures/mlstm.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/architectures/retnet.hpp>
#include <alphaform/architectures/rwkv4.hpp>
#include <alphaform/architectures/rwkv5.hpp>
#include <alphaform/architectures/rwkv6.hpp>
#include <alphaform/architectures/rwkv7.hpp>
#include <alphaform/architectures/s5.hpp>
#include <alphaform/architectures/vim.hpp>
#include <string>

namespace alphaform {

namespace {
using namespace architectures;
constexpr auto declarations = hana::make_tuple(
    mamba{}, falcon_mamba{}, mamba2{}, mamba2_grouped{}, vim{}, griffin{}, hawk{}, rwkv4{}, rwkv5{}, rwkv6{}, rwkv7{},
    retnet{}, hgrn{}, hgrn_complex{}, hgrn2{}, gla{}, gateloop{}, linear_attention{}, delta_net{}, gated_delta_net{},
    kda{}, mlstm{}, mingru{}, minlstm{}, hyena{}, h3{}, lru{}, s5{}, softmax_attention{});
constexpr auto table = tabulate(declarations, [](auto d) { return as_architecture<decltype(d)>(); });
}  // namespace

constinit const std::span<const architecture> registry = table;

const architecture& find_architecture(std::string_view name) {
  std::string known;
  for (const architecture& a : registry) {
    if (a.name == name) return a;
    known += std::string(known.empty() ? "" : ", ") + std::string(a.name);
  }
  throw user_error("there is no architecture '" + std::string(name) + "'; known are " + known);
}

}  // namespace alphaform
