// Everything that a program needs in order to declare, derive and evaluate.
#pragma once
#include <alphaform/algebra/derive.hpp>
#include <alphaform/algebra/language.hpp>
#include <alphaform/algebra/layers.hpp>
#include <alphaform/algebra/normal.hpp>
#include <alphaform/algebra/print.hpp>
#include <alphaform/architectures/registry.hpp>
#include <alphaform/backends/attention.hpp>
#include <alphaform/error.hpp>
