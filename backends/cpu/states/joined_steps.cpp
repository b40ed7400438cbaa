#include <algorithm>
#include <alphaform/backends/cpu/pointwise/strip_loops.hpp>
#include <alphaform/backends/cpu/states/joined_steps.hpp>
#include <optional>

namespace alphaform::cpu {

namespace {

using operation = pointwise::operation;

class joining final {
 public:
  explicit joining(const pass_program& p) : program_(p) {}

  void join(std::vector<pass_program::step>& list) const {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].is != operation::map || list[i].rows[0]) continue;
      const auto is_free = [&](std::size_t k, std::uint16_t place, std::uint16_t to) {
        return place == to || !is_read_after(list, k, place);
      };
      pass_program::step s = list[i];
      if (i > 0) {
        const pass_program::step& sum = list[i - 1];
        if (sum.is == operation::plus && sum.to == s.a && sum.rows[0] != sum.rows[1] && is_free(i, s.a, s.to)) {
          s.a = sum.rows[0] ? sum.b : sum.a, s.b = sum.rows[0] ? sum.a : sum.b, s.sum = true;
          list.erase(list.begin() + static_cast<std::ptrdiff_t>(--i));
        }
      }
      if (i + 1 < list.size()) {
        const pass_program::step& product = list[i + 1];
        if (product.is == operation::times && !product.rows[0] && !product.rows[1] &&
            (product.a == s.to) != (product.b == s.to) && is_free(i + 1, s.to, product.to)) {
          s.c = product.a == s.to ? product.b : product.a, s.to = product.to, s.product = true;
          list.erase(list.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
      }
      list[i] = s;
    }
  }

 private:
  /// Is what lies at a strip's place after step i of a list read once more?
  bool is_read_after(const std::vector<pass_program::step>& list, std::size_t i, std::uint16_t place) const {
    const auto reads = [place](const pass_program::step& s) {
      if (s.is == operation::load) return false;
      const std::size_t arguments = s.sum || s.product ? 3 : arguments_of(s.is);
      return s.a == place || (arguments > 1 && s.b == place) || (arguments > 2 && s.c == place);
    };
    const auto rest = [&](auto begin, auto end) -> std::optional<bool> {
      for (; begin != end; ++begin) {
        if (reads(*begin)) return true;
        if (begin->to == place) return false;
      }
      return std::nullopt;
    };
    if (const auto here = rest(list.begin() + static_cast<std::ptrdiff_t>(i) + 1, list.end())) return *here;
    if (&list == &program_.after) return place == program_.result;
    if (place == program_.decay || place == program_.x) return true;
    return rest(program_.after.begin(), program_.after.end()).value_or(place == program_.result);
  }

  const pass_program& program_;
};

}  // namespace

void join_steps(pass_program& p) {
  const joining all(p);
  all.join(p.before);
  all.join(p.after);
}

}  // namespace alphaform::cpu
