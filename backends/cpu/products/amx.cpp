// A number is two of 8 bits each, x = high + low to 17 bits; high high + high low + low high is exact to 2^-17 of the
// factors, with errors of either sign.
#include <alphaform/backends/cpu/products/amx.hpp>
#include <atomic>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // of the intrinsics' own "undefined" operands
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define ALPHAFORM_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512bf16")))

namespace alphaform::cpu::amx {
namespace {

using maps::leaf_tokens;

std::atomic<bool> allowed = true;

bool found() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  constexpr unsigned avx512f = 1u << 16, avx512bw = 1u << 30, amx_bf16 = 1u << 22, amx_tile = 1u << 24;
  if ((b & avx512f) == 0 || (b & avx512bw) == 0 || (d & amx_bf16) == 0 || (d & amx_tile) == 0) return false;
  constexpr long request_permission = 0x1023, tile_data = 18;
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

constexpr std::size_t step = 32;                   // depths of a tile
constexpr std::size_t tile = maps::halves_tile;    // words of two 16-bit numbers
constexpr std::size_t block = step * leaf_tokens;  // floats, which become four tiles

struct alignas(64) configuration final {
  std::uint8_t palette = 1, start_row = 0, reserved[14]{};
  std::uint16_t bytes[16]{64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16]{16, 16, 16, 16, 16, 16, 16, 16};
};

/// Rows and columns of a tile's words exchanged, to `to`.
ALPHAFORM_AMX inline void transposed(const __m512i* x, void* to) {
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_epi32(x[2 * i], x[2 * i + 1]);
    a[2 * i + 1] = _mm512_unpackhi_epi32(x[2 * i], x[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    b[4 * i] = _mm512_unpacklo_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 1] = _mm512_unpackhi_epi64(a[4 * i], a[4 * i + 2]);
    b[4 * i + 2] = _mm512_unpacklo_epi64(a[4 * i + 1], a[4 * i + 3]);
    b[4 * i + 3] = _mm512_unpackhi_epi64(a[4 * i + 1], a[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i even = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88), odd = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
    const __m512i even2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88),
                  odd2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
    __m512i* const p = static_cast<__m512i*>(to);
    _mm512_store_si512(p + i, _mm512_shuffle_i32x4(even, even2, 0x88));
    _mm512_store_si512(p + i + 8, _mm512_shuffle_i32x4(even, even2, 0xdd));
    _mm512_store_si512(p + i + 4, _mm512_shuffle_i32x4(odd, odd2, 0x88));
    _mm512_store_si512(p + i + 12, _mm512_shuffle_i32x4(odd, odd2, 0xdd));
  }
}

ALPHAFORM_AMX void transpose_tiles(float* panel, std::size_t tiles) {
  alignas(64) __m512i kept[16];
  for (std::size_t i = 0; i < tiles; ++i, panel += tile) {
    for (std::size_t r = 0; r < 16; ++r) kept[r] = _mm512_load_si512(panel + 16 * r);
    transposed(kept, panel);
  }
}

/// What is written stays written before tiles are loaded: the intrinsics do not say that they read memory.
inline void fence() { __asm__ volatile("" ::: "memory"); }

/// 32 rows and columns of the map. Tiles are loaded as soon as the product before has read them.
ALPHAFORM_AMX void add_block(const float* row, const float* column, std::size_t depth, float* to, std::size_t stride) {
  const auto bytes = static_cast<long>(stride * sizeof(float));
  float* const below = to + 16 * stride;
  fence();
  _tile_loadd(0, to, bytes);
  _tile_loadd(1, to + 16, bytes);
  _tile_loadd(2, below, bytes);
  _tile_loadd(3, below + 16, bytes);
  for (std::size_t k = 0; k < depth; k += step, row += block, column += block) {
    _tile_loadd(4, row + 2 * tile, 64);
    _tile_loadd(6, column, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, column + tile, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, row + 3 * tile, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(4, row, 64);
    _tile_dpbf16ps(3, 5, 7);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, row + tile, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(6, column + 2 * tile, 64);
    _tile_dpbf16ps(3, 5, 7);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, column + 3 * tile, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, to, bytes);
  _tile_stored(1, to + 16, bytes);
  _tile_stored(2, below, bytes);
  _tile_stored(3, below + 16, bytes);
  fence();
}

ALPHAFORM_AMX void multiply(const maps::panel_product& p) {
  const std::size_t depth = p.over.depth, group = p.over.pitch() * leaf_tokens;
  if (p.rows == maps::layout::by_depth)
    for (std::size_t i = 0; i < p.row_groups; ++i) transpose_tiles(p.of.rows + i * group, 4 * depth / step);
  const configuration tiles;
  fence();
  _tile_loadconfig(&tiles);
  for (std::size_t j = 0; j < p.column_groups; ++j)
    for (std::size_t i = 0; i < p.row_groups; ++i)
      add_block(p.of.rows + i * group, p.of.columns + j * group, depth,
                p.tile + i * leaf_tokens * p.stride + j * leaf_tokens, p.stride);
  _tile_release();
}

}  // namespace

bool usable() {
  static const bool there = found();
  return there && allowed;
}
void allow(bool yes) { allowed = yes; }
void sum_products(const maps::panel_product& p) { multiply(p); }

}  // namespace alphaform::cpu::amx

#else

namespace alphaform::cpu::amx {
bool usable() { return false; }
void allow(bool) {}
void sum_products(const maps::panel_product&) {}
}  // namespace alphaform::cpu::amx

#endif
