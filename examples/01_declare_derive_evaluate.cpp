// A gated recurrence, declared once: the compiler derives its implicit attention, a row of it is evaluated.
//
// prints: H = Diag\(SiLU\(g\)\) Scan\(f\) Diag\(1 - f\)
//
// prints: row 3: 0.368 0.172 1.067 0.180
#include <alphaform/alphaform.hpp>
#include <cstdio>

using namespace alphaform;

// y_t = SiLU(g_t) h_t,  h_t = f_t h_{t-1} + (1 - f_t) x_t,  with forget gate f and output gate g from the token
constexpr auto x = input<"x">, f = let<"f">(sigmoid(input<"forget">)), g = input<"g">;
constexpr auto y = gate(silu(g)) * ((scan(f) * diag(complement(f))) * x);
static_assert(normal(derive(y).H()) == normal(gate(silu(g)) * scan(f) * diag(complement(f))));

int main() {
  const derivation d = derive(y);
  std::printf("H = %s\n", print({d, d.formula}, notation::text).c_str());
  const std::vector<float> numbers{0.5f, -1, 2, 1, 0.25f, -0.5f, 1.5f, 3};  // 4 tokens, 2 channels
  environment<float> env;
  for (const char* name : {"x", "forget", "g"})
    env.inputs[name] = stream_of<float, float>(numbers, 4, 2, cpu_kernels());
  const bound_formula formula = formula_of(y.e);
  implicit_attention<float> attention(formula, env, cpu_kernels());
  const tensor<float> row = attention.reduced_row(3, reduction::mean);  // no 4 x 4 matrix is made
  std::printf("row 3: %.3f %.3f %.3f %.3f\n", row.v.data[0], row.v.data[1], row.v.data[2], row.v.data[3]);
}
