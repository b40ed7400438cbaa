// The float32 backend of the first CUDA device.
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <alphaform/backends/cuda/rehearsal.hpp>
#include <alphaform/backends/cuda/widened.hpp>

namespace alphaform {

namespace {

template <product_precision P>
kernels<float> make_table() {
  cuda::queue();  // there must be a card
  kernels<float> k{};
  k.name = P == product_precision::float32 ? "cuda (float32)" : "cuda (float32, products of bfloat16)";
  k.has_own_memory = true;
  k.allocate = cuda::allocate;
  k.release = cuda::release;
  k.most_in_use = cuda::most_in_use;
  k.rehearse = cuda::rehearse;
  k.upload = cuda::upload;
  k.download = cuda::download;
  k.record = cuda::record;
  k.replay = cuda::replay;
  k.enter = [] { return 0u; };
  k.leave = [](unsigned) {};
  k.expect = [](std::span<const cuda::in>) {};
  k.fill = cuda::widened<cuda::fill>;
  k.unit = cuda::widened<cuda::unit>;
  k.eye = cuda::widened<cuda::eye>;
  k.copy = cuda::copy;
  k.map = cuda::map;
  k.evaluate = cuda::evaluate;
  k.scan = cuda::scan;
  k.times = cuda::widened<cuda::times>;
  k.plus = cuda::widened<cuda::plus>;
  k.larger = cuda::widened<cuda::larger>;
  k.total = cuda::widened<cuda::total, cuda::results::added_to>;
  k.inverse = cuda::widened<cuda::inverse>;
  k.linear = cuda::widened<cuda::linear<P>>;
  k.linear_adjoint = cuda::widened<cuda::linear_adjoint<P>>;
  k.shift = cuda::widened<cuda::shift>;
  k.reverse = cuda::widened<cuda::reverse>;
  k.gather = cuda::widened<cuda::gather>;
  k.scatter = cuda::widened<cuda::scatter>;
  k.fir = cuda::widened<cuda::fir>;
  k.fir_adjoint = cuda::widened<cuda::fir_adjoint>;
  k.gated_fir_adjoint = cuda::gated_fir_adjoint;
  k.peak = cuda::widened<cuda::peak>;
  k.unrolled = cuda::unrolled<P>;
  k.unrolled_adjoint = cuda::unrolled_adjoint<P>;
  k.pass_lanes = lanes_for_a_pass;
  k.pass_states = states_of_a_device_pass;
  k.pass_for_heads = false;  // chunks as products are faster
  k.unrolled_pass = cuda::unrolled_pass;
  k.unrolled_gradient = cuda::widened<cuda::unrolled_gradient>;
  k.rank_one = cuda::rank_one<P>;
  k.rank_one_adjoint = cuda::rank_one_adjoint<P>;
  k.channel_map = cuda::widened<cuda::channel_map, cuda::results::added_to>;
  k.attend = cuda::widened<cuda::attend>;
  k.attend_adjoint = cuda::widened<cuda::attend_adjoint>;
  return k;
}

}  // namespace

const kernels<float>& cuda_kernels(product_precision p) {
  if (p == product_precision::bfloat16) {
    static const kernels<float> table = make_table<product_precision::bfloat16>();
    return table;
  }
  static const kernels<float> table = make_table<product_precision::float32>();
  return table;
}

std::optional<std::string> why_no_cuda() { return cuda::why_not(); }

}  // namespace alphaform
