// What a backend is: one table of plain functions over views. A backend sees no expressions; the engine sees no data.
// Sizes: an operand's axis is either as long as the result's or 1. Matrices, states and results of linear and unrolled
// are contiguous. Token axes run forward in time. Streams and results may be of bfloat16 where memory is a device's
// own; states are not.
#pragma once
#include <alphaform/backends/pointwise.hpp>
#include <alphaform/view.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace alphaform {

/// The product of two streams that is not multiplied out, each repeated where it is short: u is the same for all
/// entries of the state, v may be anything.
template <class T>
struct factored final {
  view<const T> u, v;
};

/// h_t = a_t h_{t-1} + b_t x_t, y_t = sum over the state of c_t h_t, or of c_t h_{t-1} if exclusive. Sizes: x and y
/// [T, lanes], h [lanes, state], u [T, lanes] and v [T, lanes, state], lanes being any other axes (paper Eq. 5-7).
template <class T>
struct recurrence final {
  factored<T> decay;         ///< log a if logarithmic, else a - 1: either is exact where a is close to 1
  factored<T> write, read;   ///< b, c
  bool logarithmic = false;  ///< log a <= 0 or -infinity
  bool exclusive = false;
  /// y_t has the sum over the state of bonus_t c_t b_t x_t too, of sizes as above. Only `unrolled` and its transpose
  /// know of it.
  std::optional<factored<T>> bonus{};
};

/// The same with a transition A_t = Diag(a_t) + p_t q_t' on the state (DeltaNet, RWKV-7): A h = a h + p (sum over the
/// state of q h), the same for all channels of a head: no stream but x and y has the axis `chan`. Sizes as above.
template <class T>
struct rank_one_recurrence final {
  recurrence<T> diagonal;
  factored<T> p, q;
};

/// What the states of a pass over an unrolled recurrence add to its program: l, w and r of `states`, [T, lanes, state]
/// each, 1 where it is repeated. l is the same for all tokens; w and r for all tokens, or for all channels.
template <class T>
struct state_factors final {
  view<const T> log_decay, write, read;
};

/// What derivatives of an unrolled recurrence are sums of, by its states h_t and those of its transpose,
/// z_t = a_{t+1} z_{t+1} + c_t g_t (c_{t+1} g_{t+1} if exclusive).
enum class state_product : std::uint8_t {
  written,      ///< z_t: for what is written, and the factors of write
  decayed,      ///< a_t h_{t-1} z_t: for log a
  kept,         ///< h_{t-1} z_t: for a
  read,         ///< g_t h_t: for the factors of read
  read_before,  ///< g_t h_{t-1}: the same of an exclusive one
};
/// to_t is the sum of weight times such a product over all axes that `to` lacks.
template <class T>
struct state_sum final {
  state_product of = state_product::written;
  factored<T> weight;  ///< u [T, lanes], v [T, lanes, state], as in a recurrence
  view<T> to;
};

/// C matrices [T, T], one a channel, H_c = (read Scan(decay) write + Diag(skip)) Filter.
template <class T>
struct channel_matrices final {
  recurrence<T> core;    ///< on axes token, chan and state
  view<const T> skip;    ///< [T, C]; a single 0 if there is none
  view<const T> taps;    ///< [C, tap]; no entry (data is null) if there is no filter
  view<const T> weight;  ///< [C] or a single number, of each channel in a sum
};
/// What is taken over channels: sums of weight H_c, weight |H_c|, weight max(H_c, 0), or the maximum of weight |H_c|.
enum class over_channels : std::uint8_t { sum, absolute, positive, maximum };

/// What a program reads: x, or what a filter of its own makes of it.
template <class T>
struct filtered_stream final {
  view<const T> x, taps;  ///< taps as of `fir`; no entry (data is null) if there is no filter
};
/// A filter whose input is made on the way has up to so many taps, and so has the input's own.
inline constexpr std::size_t taps_of_a_pass = 4;

/// On a device, from so many lanes on a pass pays that takes each lane's tokens one after the other; chunks of tokens
/// fill one with fewer.
inline constexpr std::size_t lanes_for_a_pass = 512;
/// And how many states it takes there, for which a block has room on any card (99 KiB); and on processors.
inline constexpr std::size_t states_of_a_device_pass = 128, states_of_a_pass = 256;

template <class T>
struct kernels final {
  using in = view<const T>;
  using out = view<T>;

  std::string_view name;  ///< as reports print it, such as "cpu (float32)"

  /// Its memory is not this processor's: numbers are moved by `upload` and `download`. It has one queue for all work,
  /// so that large windows pay and threads do not.
  bool has_own_memory = false;

  T* (*allocate)(std::size_t count);  ///< uninitialised; @throws std::bad_alloc if there is no room
  void (*release)(T*);
  /// Bytes that were in use at most since the last call, beyond those that were then; and the bytes that `work` would
  /// have at most at a time, found without doing it: what it reads are zeros. Null on this processor.
  std::size_t (*most_in_use)() = nullptr;
  std::size_t (*rehearse)(const std::function<void()>& work) = nullptr;
  void (*upload)(const T* from_host, std::size_t count, T* to);
  void (*download)(const T* from, std::size_t count, T* to_host);  ///< waits for all work before
  /// Remembers what `work` asks of the queue instead of doing it; the pointer keeps it, and is given to `replay`, which
  /// does not wait. Null where there is no queue.
  std::shared_ptr<void> (*record)(const std::function<void()>& work);
  void (*replay)(void*);
  unsigned (*enter)();  ///< prepares the calling thread (denormals), returns what `leave` restores
  void (*leave)(unsigned before);

  /// What the calling thread reads after the next kernels: they may fetch it while they compute. Only a hint.
  void (*expect)(std::span<const in> soon);

  void (*fill)(T value, out y);             ///< y = value
  void (*unit)(std::size_t token, out y);   ///< y = 1 at one token, 0 elsewhere
  void (*eye)(out y);                       ///< y[t, ..., s] = (t == s)
  void (*copy)(in x, out y);                ///< y = x, x repeated where it is short
  void (*map)(code function, in x, out y);  ///< y = f(x)
  /// y by the program; none of the operands may be y
  void (*evaluate)(const pointwise&, std::span<const in> operands, out y);
  /// y by a program with a scan; `h`, of the size of one token of y, holds the states before the first token that it
  /// comes to, and after the last one when it is done.
  void (*scan)(const pointwise&, std::span<const in> operands, out h, out y);
  void (*times)(in a, in b, out y);                     ///< y = a b; y may be a
  void (*plus)(in a, in b, out y);                      ///< y = a + b; y may be a
  void (*larger)(in a, in b, out y);                    ///< y = max(a, b)
  void (*total)(T weight, bool absolute, in x, out y);  ///< y += weight times the sum of x (or |x|) over y's short axes

  void (*inverse)(in x, out y);  ///< y = 1 / x, and 0 where x is 0

  /// y[.., o] = sum_i W[o, i] x[.., i] with i on the axis `from` and o on `to`; W has rows on the token axis, columns
  /// on head. x is stored along `from`; other axes pass through.
  void (*linear)(in weight, axis from, axis to, in x, out y);
  void (*linear_adjoint)(in weight, axis from, axis to, in g, out y);  ///< y[.., i] = sum_o W[o, i] g[.., o]
  void (*shift)(std::ptrdiff_t lag, in x, out y);                      ///< y_t = x_{t-lag}, 0 outside
  void (*reverse)(in x, out y);                                        ///< y_t = x_{T-1-t}
  void (*gather)(in order, in x, out y);      ///< y_t = x_{order[t]}; `order` holds a token of x for every token of y
  void (*scatter)(in order, in g, out y);     ///< y_{order[t]} = g_t
  void (*fir)(in taps, in x, out y);          ///< y_t = sum_k w[K-1-k] x_{t-k}; taps lie along `tap`
  void (*fir_adjoint)(in taps, in g, out y);  ///< y_t = sum_k w[K-1-k] g_{t+k}
  /// `fir_adjoint` of what the program makes of its operands. Null where there is no such pass.
  void (*gated_fir_adjoint)(const pointwise&, std::span<const filtered_stream<T>> operands, in taps, out y);
  void (*peak)(in log_decay, in key, out y);  ///< y_t = max(y_{t-1} + l_t, k_t), y_0 = k_0

  /// y of the recurrence; `h` holds the state before the first token, and after the last one when it is done.
  void (*unrolled)(const recurrence<T>&, in x, out h, out y);
  /// From the last token to the first: h <- h + c_t g_t, y_t = sum over the state of b_t h, h <- a_t h; if exclusive
  /// y_t = sum of b_t h comes first, then h <- a_t h + c_t g_t.
  void (*unrolled_adjoint)(const recurrence<T>&, in g, out h, out y);
  /// y by a program with `states`; h as of `unrolled`. Null where there is no such pass. It takes up to `pass_states`
  /// states. It pays for `pass_lanes` lanes and more; and for heads, whose channels share a decay, where their chunks
  /// of tokens are not products in fewer steps.
  std::size_t pass_lanes, pass_states;
  bool pass_for_heads;
  void (*unrolled_pass)(const pointwise&, const state_factors<T>&, std::span<const in> operands, out h, out y);
  /// Sums for the gradients of decay, write, read and x, of all tokens at once: states are 0 before the first and after
  /// the last.
  void (*unrolled_gradient)(const recurrence<T>&, in x, in g, std::span<const state_sum<T>>);
  /// An unrolled recurrence with a transition of rank one; transposed, h <- a_t h + q_t (sum over the state of p_t h)
  /// for h <- a_t h.
  void (*rank_one)(const rank_one_recurrence<T>&, in x, out h, out y);
  void (*rank_one_adjoint)(const rank_one_recurrence<T>&, in g, out h, out y);
  /// Adds to `map` [T, column T] what is taken over the channels, or raises it to the maximum; entries above the
  /// diagonal stay as they are.
  void (*channel_map)(const channel_matrices<T>&, over_channels, out map);

  /// y_t = sum_{t-window < s <= t} a_ts x_s with a_ts = exp(sum over the state of q_t k_s), each row divided by its sum
  /// if `normalised`. y has every axis of x, and of q and k but the state. k and x may have more tokens than q and y:
  /// those come before the first query.
  void (*attend)(in q, in k, bool normalised, std::size_t window, in x, out y);
  /// y_s = sum_{s <= t < s+window} a_ts g_t, with as many keys as queries.
  void (*attend_adjoint)(in q, in k, bool normalised, std::size_t window, in g, out y);
};

/// Sets the processor up for one query and back.
template <class T>
class entered final {
 public:
  explicit entered(const kernels<T>& k) : k_(k), before_(k.enter()) {}
  ~entered() { k_.leave(before_); }
  entered(const entered&) = delete;
  entered& operator=(const entered&) = delete;

 private:
  const kernels<T>& k_;
  unsigned before_;
};

const kernels<double>& reference_kernels();  ///< sequential, double, the truth
const kernels<float>& cpu_kernels();         ///< float32, vector code chosen at run time
/// What a device multiplies in matrices along an axis, and in heads: numbers as they are, or rounded to 8 bits. Sums
/// and states are of float32.
enum class product_precision { float32, bfloat16 };
/// float32 on the first CUDA device. @throws user_error where there is none, or where alphaform was built without CUDA
const kernels<float>& cuda_kernels(product_precision = product_precision::float32);
/// Why cuda_kernels() cannot be used here: a sentence; nothing if they can.
std::optional<std::string> why_no_cuda();

}  // namespace alphaform
