// A part of the tokens and lanes of a stream.
#pragma once
#include <algorithm>
#include <alphaform/view.hpp>

namespace alphaform {

/// Tokens, and ranges of channels, heads and groups; a range is ignored by streams that lack its axis, and one of all
/// fits streams of any width.
struct window final {
  static constexpr std::size_t all = static_cast<std::size_t>(-1);
  std::size_t token_begin = 0, token_end = 0;
  std::size_t channel_begin = 0, channel_end = all;
  std::size_t head_begin = 0, head_end = all;
  std::size_t group_begin = 0, group_end = all;

  std::size_t tokens() const { return token_end - token_begin; }
  /// The same lanes at other tokens.
  window at_tokens(std::size_t begin, std::size_t end) const {
    window w = *this;
    w.token_begin = begin;
    w.token_end = end;
    return w;
  }
  /// The same tokens with a part of one of the lanes' axes.
  window with_lanes(axis a, std::size_t begin, std::size_t end) const {
    window w = *this;
    (a == axis::chan ? w.channel_begin : a == axis::head ? w.head_begin : w.group_begin) = begin;
    (a == axis::chan ? w.channel_end : a == axis::head ? w.head_end : w.group_end) = end;
    return w;
  }
  /// The window's part of a stream.
  template <class Stream>
  Stream of(const Stream& s) const {
    return lanes_of(s.slice(axis::token, token_begin, token_end));
  }
  /// Its lanes, of all tokens of a stream.
  template <class Stream>
  Stream lanes_of(const Stream& s) const {
    const extents& size = extents_of(s);
    Stream part = s;
    if (channel_begin > 0 || channel_end < at(size, axis::chan))
      part = part.slice(axis::chan, channel_begin, std::min(channel_end, at(size, axis::chan)));
    if (head_begin > 0 || head_end < at(size, axis::head))
      part = part.slice(axis::head, head_begin, std::min(head_end, at(size, axis::head)));
    if (group_begin > 0 || group_end < at(size, axis::group))
      part = part.slice(axis::group, group_begin, std::min(group_end, at(size, axis::group)));
    return part;
  }
  /// The same of its extents.
  extents of(extents size) const {
    const auto cut = [&size](axis a, std::size_t begin, std::size_t end) {
      if (at(size, a) != 1) at(size, a) = std::min(end, at(size, a)) - begin;
    };
    cut(axis::token, token_begin, token_end);
    cut(axis::chan, channel_begin, channel_end);
    cut(axis::head, head_begin, head_end);
    cut(axis::group, group_begin, group_end);
    return size;
  }
  friend bool operator==(const window&, const window&) = default;

 private:
  template <class Stream>
  static const extents& extents_of(const Stream& s) {
    if constexpr (requires { s.v; })
      return s.v.size;
    else
      return s.size;
  }
};

}  // namespace alphaform
