// How a Boost.Hana tuple of small types becomes a vocabulary: the code of an entry is its place in the tuple, and a
// table of any property is unpacked from it. A new entry is one type and one place in its tuple; no switch anywhere
// lists the entries.
#pragma once
#include <array>
#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>
#include <cstdint>
#include <type_traits>

namespace alphaform {

namespace hana = boost::hana;
using code = std::uint8_t;

/// Place of `Entry` in `Tuple`; does not compile for a type that is not there.
template <class Entry, class Tuple>
constexpr code place(const Tuple& entries) {
  const auto [at, size] = hana::unpack(entries, [](auto... entry) {
    code i = 0;
    static_cast<void>(((std::is_same_v<decltype(entry), Entry> ? false : (++i, true)) && ...));
    return std::array<code, 2>{i, static_cast<code>(sizeof...(entry))};
  });
  if (at == size) throw "this type is not in the vocabulary";
  return at;
}

/// One row per entry, made by `property(entry)`.
template <class Tuple, class Property>
constexpr auto tabulate(const Tuple& entries, Property property) {
  return hana::unpack(entries, [property](auto... entry) { return std::array{property(entry)...}; });
}

}  // namespace alphaform
