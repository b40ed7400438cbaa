// The matrix unit of some x86 processors: products of panels as three products of 16-bit parts.
#pragma once
#include <alphaform/backends/cpu/maps/product.hpp>

namespace alphaform::cpu::amx {

/// Found, permitted by the system, and allowed.
bool usable();
void allow(bool);

/// As maps::sum_products, of panels of halves; rows that lie by depth are turned where they are.
void sum_products(const maps::panel_product&);

}  // namespace alphaform::cpu::amx
