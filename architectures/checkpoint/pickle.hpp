// Reader of Python pickles (docs.python.org/3/library/pickletools.html, the binary opcodes of protocols 2 to 5) that
// runs nothing: a name such as os.system stays a name, and what Python would call or build with it stays a description
// of that call. The input is untrusted; memory and time are bounded by a multiple of its size.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace alphaform {

/// One value of a pickle. Values refer to others by their place in pickle::values, as a pickle may share values and may
/// contain itself.
struct pickled final {
  enum class kind : unsigned char {
    other,       // None, booleans, floats, bytes, integers of more than 64 bits: of no use here, so not kept
    integer,     // integer
    text,        // text
    tuple,       // items
    list,        // items; also sets
    dict,        // items: key, value, key, value, ...; also collections.OrderedDict
    global,      // text: the dotted name of a function or class, "torch.FloatStorage"
    persistent,  // items: the identifier of an object that is kept outside the pickle
    object       // items: what Python would call, its tuple of arguments, then state and members given to the result
  };
  kind is = kind::other;
  std::int64_t integer = 0;
  std::string text;
  std::vector<std::uint32_t> items;
};

/// The value of a whole pickle is values[root].
struct pickle final {
  std::vector<pickled> values;
  std::uint32_t root = 0;

  const pickled& operator[](std::uint32_t place) const { return values[place]; }
};

/// @param source the pickle's name as it appears in messages. @throws user_error if it is malformed, has opcodes of
/// protocols 0 and 1 that later ones replaced, or is larger than 64 MiB or four million values.
pickle parse_pickle(std::span<const std::byte> bytes, std::string_view source);

}  // namespace alphaform
