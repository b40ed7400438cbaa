// Writes the guide's checkpoint, two blocks of Tidal as its training code would save them, with fixed numbers
// in place of trained ones:
//   write_checkpoint model.safetensors
#include <alphaform/architectures/checkpoint/safetensors_writer.hpp>
#include <alphaform/error.hpp>
#include <cmath>
#include <cstdio>
#include <deque>
#include <fstream>

namespace {

using namespace alphaform;

constexpr std::int64_t width = 24, heads = 2, channels = 12, states = 6, taps = 4, inner = 32, vocabulary = 64;

class tensors final {
 public:
  /// Uniform numbers around `centre`, the same on every machine.
  void add(const std::string& name, std::vector<std::int64_t> shape, double centre = 0, double spread = 0.4) {
    std::size_t count = 1;
    for (const std::int64_t n : shape) count *= static_cast<std::size_t>(n);
    std::vector<float>& numbers = numbers_.emplace_back();
    for (std::size_t k = 0; k < count; ++k) {
      seed_ = seed_ * 6364136223846793005u + 1442695040888963407u;
      const double uniform = static_cast<double>(seed_ >> 40) / static_cast<double>(1 << 24);
      numbers.push_back(static_cast<float>(centre + spread * (2 * uniform - 1)));
    }
    list.push_back({name, dtype::f32, std::move(shape), std::as_bytes(std::span(numbers))});
  }
  std::vector<stored_tensor> list;

 private:
  std::deque<std::vector<float>> numbers_;
  std::uint64_t seed_ = 1;
};

void add_block(tensors& t, const std::string& block) {
  const std::string mixer = block + "mixer.", ffn = block + "ffn.";
  t.add(block + "norm.weight", {width}, 1);
  t.add(mixer + "vqk.weight", {heads * (channels + 2 * states), width});
  t.add(mixer + "f_proj.weight", {heads * states, width});
  t.add(mixer + "f_proj.bias", {heads * states}, 2);
  t.add(mixer + "z_proj.weight", {heads * channels, width});
  t.add(mixer + "conv.weight", {heads * channels, 1, taps});
  t.add(mixer + "conv.bias", {heads * channels});
  t.add(mixer + "floor", {heads});
  t.add(mixer + "D", {heads * channels});
  t.add(mixer + "head_norm.weight", {channels}, 1);
  t.add(mixer + "o_proj.weight", {width, heads * channels});
  t.add(block + "ffn_norm.weight", {width}, 1);
  t.add(ffn + "gate.weight", {inner, width});
  t.add(ffn + "up.weight", {inner, width});
  t.add(ffn + "down.weight", {width, inner});
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) return std::fputs("write_checkpoint needs the name of the file to write\n", stderr), 2;
  tensors t;
  t.add("embed.weight", {vocabulary, width}, 0, 1);
  add_block(t, "blocks.0.");
  add_block(t, "blocks.1.");
  t.add("norm.weight", {width}, 1);
  std::ofstream out(arguments[1], std::ios::binary);
  write_safetensors(t.list, {}, [&](std::span<const std::byte> bytes) {
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  });
  return out.flush() ? 0 : 1;
}
