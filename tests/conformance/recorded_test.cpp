// Work that is recorded once and replayed does what it does when it is asked for.
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/recorded.hpp>

#include "../devices.hpp"
#include "random_mixer.hpp"

namespace alphaform {
namespace {

ON_EVERY_DEVICE("a recorded query sees what lies in its operands when it is replayed") {
  USE_DEVICE();
  const kernels<float>& k = *test::tested_device;
  const witness_sizes sizes{40, 2, 5, 4, 3, 4, 2};
  for (const char* name : {"mamba", "griffin", "retnet"}) {
    const std::string architecture = name;
    CAPTURE(architecture);
    test::random_mixer m(find_architecture(name), sizes, 7);
    auto h = m.on(k);
    const arena<float> memory(k);
    const tensor<float> x = memory.filled(h.x().v.size, 0), y = memory.filled(h.stream(), -1);
    const recorded<float> query(k, [&] { k.copy(h.apply(x), y); });
    for (int times = 1; times <= 3; ++times) {
      k.plus(x, h.x(), x);
      query.replay();
      const std::vector<float> replayed = numbers_of(y), asked = numbers_of(h.apply(x));
      CHECK(replayed == asked);
      CHECK(std::any_of(asked.begin(), asked.end(), [](float v) { return v != 0; }));
    }
  }
}

TEST_CASE("work that fails while it is recorded fails, and the queue goes on") {
  if (!test::cuda_device::exists()) return;
  const kernels<float>& k = cuda_kernels();
  int times = 0;
  CHECK_THROWS_AS(recorded<float>(k,
                                  [&] {
                                    if (++times == 2) throw user_error("no more");
                                  }),
                  user_error);
  const tensor<float> one = arena<float>(k).filled(single, 1);
  CHECK(numbers_of(one) == std::vector<float>{1});
}

}  // namespace
}  // namespace alphaform
