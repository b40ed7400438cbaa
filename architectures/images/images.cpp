// IDX is a big-endian header and bytes (yann.lecun.com/exdb/mnist); zlib takes gzip off it, libpng reads PNG.
#include <fmt/core.h>
#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <alphaform/architectures/checkpoint/mapped_file.hpp>
#include <alphaform/architectures/checkpoint/quote.hpp>
#include <alphaform/architectures/images/images.hpp>
#include <alphaform/error.hpp>
#include <limits>

namespace alphaform {
namespace {

using bytes = std::span<const std::byte>;

constexpr std::size_t most_samples = std::size_t{1} << 28, longest_header = 16;

bool starts_with(bytes file, std::initializer_list<unsigned char> first) {
  return file.size() >= first.size() && std::equal(first.begin(), first.end(), file.begin(),
                                                   [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}
bool is_gzip(bytes file) { return starts_with(file, {0x1F, 0x8B}); }

/// What a gzip file of one member holds. It grows with what is really there, so that a header cannot ask for memory.
std::vector<std::byte> inflated(bytes file, std::string_view name) {
  if (file.size() > std::numeric_limits<uInt>::max())
    throw user_error(fmt::format("{} is larger than 4 GiB; images come in smaller gzip files", name));
  z_stream stream{};
  constexpr int gzip_only = 15 + 16;
  if (inflateInit2(&stream, gzip_only) != Z_OK) throw runtime_error("zlib cannot start: there is not enough memory");
  const struct closer final {
    z_stream* s;
    ~closer() { inflateEnd(s); }
  } close{&stream};
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(file.data()));
  stream.avail_in = static_cast<uInt>(file.size());
  std::vector<std::byte> whole;
  for (int state = Z_OK; state != Z_STREAM_END;) {
    constexpr std::size_t step = 1 << 20;
    const std::size_t before = whole.size();
    if (before > most_samples + longest_header)
      throw user_error(fmt::format("{} unpacks to more than {} bytes, which is too large for images", name, before));
    whole.resize(before + step);
    stream.next_out = reinterpret_cast<Bytef*>(whole.data() + before);
    stream.avail_out = step;
    state = inflate(&stream, Z_NO_FLUSH);
    whole.resize(before + step - stream.avail_out);
    if (state == Z_BUF_ERROR || (state == Z_OK && stream.avail_in == 0 && stream.avail_out != 0))
      throw user_error(fmt::format("{} ends in the middle of its gzip data: the file is cut off", name));
    if (state != Z_OK && state != Z_STREAM_END)
      throw user_error(fmt::format("{} is damaged: its gzip data cannot be unpacked or fails its checksum", name));
  }
  if (stream.avail_in != 0)
    throw user_error(
        fmt::format("{} has {} bytes after its gzip data; one gzip stream is read", name, stream.avail_in));
  return whole;
}

struct idx final {
  std::vector<std::size_t> size;
  bytes samples;
};
/// @param what  such as "images (idx3-ubyte)"
idx parse_idx(bytes file, std::size_t dimensions, std::string_view what, std::string_view name) {
  const std::size_t header = 4 + 4 * dimensions;
  if (!starts_with(file, {0, 0, 8, static_cast<unsigned char>(dimensions)}) || file.size() < header)
    throw user_error(fmt::format("{} is no IDX file of {}: it should begin with the bytes 0, 0, 8, {} and {} sizes",
                                 name, what, dimensions, dimensions));
  idx found{{}, file.subspan(header)};
  std::size_t total = 1;
  for (std::size_t d = 0; d < dimensions; ++d) {
    std::size_t n = 0;
    for (std::size_t k = 0; k < 4; ++k) n = n << 8U | std::to_integer<std::size_t>(file[4 + 4 * d + k]);
    if (n == 0 || n > most_samples / total)
      throw user_error(fmt::format("{} says that dimension {} of its {} is {}; from 1 to 2^28 bytes in all are read",
                                   name, d, what, n));
    total *= n;
    found.size.push_back(n);
  }
  if (found.samples.size() != total)
    throw user_error(fmt::format("{} holds {} bytes of {}, but its header says {}: the file is not whole", name,
                                 found.samples.size(), what, total));
  return found;
}

std::vector<std::uint8_t> numbers(bytes from) {
  std::vector<std::uint8_t> to(from.size());
  std::ranges::transform(from, to.begin(), [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
  return to;
}

images parse_png(bytes file, std::string_view name) {
  png_image picture{};
  picture.version = PNG_IMAGE_VERSION;
  const struct closer final {
    png_image* p;
    ~closer() { png_image_free(p); }
  } close{&picture};
  const auto damaged = [&] {
    return user_error(fmt::format("{} cannot be read as a PNG picture: {}", name, picture.message));
  };
  if (png_image_begin_read_from_memory(&picture, file.data(), file.size()) == 0) throw damaged();
  if ((picture.format & (PNG_FORMAT_FLAG_ALPHA | PNG_FORMAT_FLAG_LINEAR)) != 0)
    throw user_error(fmt::format("{} has transparency or 16 bits a sample; save it grey or RGB with 8 bits", name));
  const bool coloured = (picture.format & PNG_FORMAT_FLAG_COLOR) != 0;
  images all{1, {coloured ? 3U : 1U, picture.height, picture.width}, {}};
  if (all.shape.height > most_samples / 3 / all.shape.width)
    throw user_error(fmt::format("{} has {} x {} pixels, which is too large", name, picture.width, picture.height));
  picture.format = coloured ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<std::uint8_t> interleaved(all.shape.samples());
  if (png_image_finish_read(&picture, nullptr, interleaved.data(), 0, nullptr) == 0) throw damaged();
  all.samples.resize(interleaved.size());
  const std::size_t pixels = all.shape.height * all.shape.width;
  for (std::size_t k = 0; k < interleaved.size(); ++k)
    all.samples[k % all.shape.channels * pixels + k / all.shape.channels] = interleaved[k];
  return all;
}

}  // namespace

images parse_images(bytes file, std::string_view name) {
  if (is_gzip(file)) {
    const std::vector<std::byte> whole = inflated(file, name);
    if (is_gzip(whole)) throw user_error(fmt::format("{} is packed twice; unpack it once", name));
    return parse_images(whole, name);
  }
  if (starts_with(file, {0x89, 'P', 'N', 'G'})) return parse_png(file, name);
  const idx found = parse_idx(file, 3, "images (idx3-ubyte)", name);
  return {found.size[0], {1, found.size[1], found.size[2]}, numbers(found.samples)};
}

std::vector<std::uint8_t> parse_labels(bytes file, std::string_view name) {
  std::vector<std::byte> whole;
  if (is_gzip(file)) file = whole = inflated(file, name);
  return numbers(parse_idx(file, 1, "labels (idx1-ubyte)", name).samples);
}

images read_images(const std::filesystem::path& path) {
  const mapped_file file = mapped_file::open(path);
  return parse_images(file.bytes(), quote_path(path));
}
std::vector<std::uint8_t> read_labels(const std::filesystem::path& path) {
  const mapped_file file = mapped_file::open(path);
  return parse_labels(file.bytes(), quote_path(path));
}

}  // namespace alphaform
