// Where memory is short: queries go on in smaller windows, rollouts in shorter stretches, gradients with fewer layers
// held; what does not fit at all is refused, and nothing is lost by it.
#include <doctest/doctest.h>

#include <alphaform/backends/model/gradient.hpp>
#include <alphaform/backends/model/rollout.hpp>
#include <alphaform/backends/parallel.hpp>
#include <filesystem>
#include <map>
#include <mutex>

#include "../devices.hpp"
#include "goldens.hpp"

namespace alphaform {
namespace {

const std::filesystem::path golden = test::golden_folder;

/// A device's kernels with memory of so many bytes. There is one at a time.
class short_memory final {
 public:
  explicit short_memory(const kernels<float>& device) : kernels_(device) {
    now_ = this;
    allocate_ = device.allocate, release_ = device.release;
    kernels_.allocate = [](std::size_t n) { return now_->allocate(n); };
    kernels_.release = [](float* p) { now_->release(p); };
    kernels_.rehearse = nullptr;  // what kernels need for themselves is not taken here
  }
  short_memory(const short_memory&) = delete;
  short_memory& operator=(const short_memory&) = delete;
  ~short_memory() { now_ = nullptr; }

  const kernels<float>& all() const { return kernels_; }
  /// From now on there is room for so many bytes beside what is in use.
  void leave(std::size_t bytes) { most_ = used_ + bytes; }
  void leave_all() { most_ = static_cast<std::size_t>(-1); }
  /// What `work` takes at most beside what is in use before.
  template <class Work>
  std::size_t taken_by(const Work& work) {
    leave_all();
    const std::size_t before = peak_ = used_;
    work();
    return peak_ - before;
  }
  std::size_t refusals = 0;

 private:
  float* allocate(std::size_t n) {
    const std::lock_guard lock(guard_);
    if (n * sizeof(float) > most_ - used_) {
      ++refusals;
      throw out_of_memory("there is no room for more");
    }
    float* const p = allocate_(n);
    used_ += sizes_[p] = n * sizeof(float);
    peak_ = std::max(peak_, used_);
    return p;
  }
  void release(float* p) {
    const std::lock_guard lock(guard_);
    used_ -= sizes_[p];
    sizes_.erase(p);
    release_(p);
  }

  static inline short_memory* now_ = nullptr;
  kernels<float> kernels_;
  float* (*allocate_)(std::size_t) = nullptr;
  void (*release_)(float*) = nullptr;
  std::mutex guard_;
  std::map<float*, std::size_t> sizes_;
  std::size_t used_ = 0, peak_ = 0, most_ = static_cast<std::size_t>(-1);
};

/// What is in use at once is then the same each time.
struct one_thread final {
  std::size_t before = threads();
  one_thread() { use_threads(1); }
  ~one_thread() { use_threads(before); }
};

std::vector<std::int64_t> ids_for(std::size_t vocabulary, std::size_t tokens) {
  std::vector<std::int64_t> ids(tokens);
  for (std::size_t t = 0; t < tokens; ++t) ids[t] = static_cast<std::int64_t>((t * 7919 + 3) % vocabulary);
  return ids;
}

/// The number in the sentence by which a query is refused.
template <class Query>
std::size_t bytes_refused(const Query& query) {
  try {
    query();
  } catch (const out_of_memory& e) {
    const std::string sentence = e.what(), before = "there is no room for more; this takes ";
    CAPTURE(sentence);
    REQUIRE(sentence.starts_with(before));
    return std::stoull(sentence.substr(before.size()));
  }
  FAIL("the query found memory that is not there");
  return 0;
}

/// max |a - b| / max |b|
double relative_miss(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  float most = 0, scale = 0;
  for (std::size_t k = 0; k < a.size(); ++k) {
    most = std::max(most, std::abs(a[k] - b[k]));
    scale = std::max(scale, std::abs(b[k]));
  }
  return static_cast<double>(most) / static_cast<double>(scale);
}

ON_EVERY_DEVICE("a query that finds too little memory is answered in smaller windows") {
  USE_DEVICE();
  const one_thread only;
  short_memory memory(Device::all());
  using kind = query::kind;
  const auto asked = [](implicit_attention<float>& a, kind is) {
    switch (is) {
      case kind::apply:
        return a.apply(a.x());
      case kind::adjoint:
        return a.adjoint(a.x());
      case kind::row:
        return a.row(a.tokens() - 2);
      default:
        return a.reduced_matrix(reduction::mean);
    }
  };
  std::size_t made_smaller = 0;
  for (const char* name : {"mamba", "griffin", "gla", "rwkv7"}) {
    CAPTURE(name);
    memory.leave_all();
    const model<float> m(checkpoint::open(golden / name), memory.all());
    const forward_pass<float> pass = m.run(ids_for(m.vocabulary(), 900), {.of = extent_of_run::logits::none});
    const auto attention = [&] { return m.attention(0, pass.mixer_in[0], pass.shared); };
    for (const kind is : {kind::apply, kind::adjoint, kind::row, kind::reduced_matrix}) {
      CAPTURE(static_cast<int>(is));
      memory.leave_all();
      implicit_attention<float> usual = attention(), refused = attention(), limited = attention();
      const std::vector<float> expected = numbers_of(asked(usual, is));
      const query_plan plan = usual.plan({is, usual.tokens() - 2});
      usual.use_at_most(plan.peak_bytes - 1);
      const query_plan smaller = usual.plan({is, usual.tokens() - 2});

      memory.leave(1000);
      const std::size_t least = bytes_refused([&] { asked(refused, is); });
      CHECK(least > 1000);
      CHECK(least <= plan.peak_bytes);
      memory.leave_all();
      CHECK(numbers_of(asked(refused, is)) == expected);

      if (smaller.peak_bytes >= plan.peak_bytes) continue;  // no window takes less
      ++made_smaller;
      memory.refusals = 0;
      memory.leave((plan.peak_bytes + smaller.peak_bytes) / 2);
      CHECK(relative_miss(numbers_of(asked(limited, is)), expected) <= 1e-5);
      CHECK(memory.refusals > 0);
    }
  }
  CHECK(made_smaller > 0);
}

ON_EVERY_DEVICE("a rollout that finds too little memory takes shorter stretches, or holds fewer streams") {
  USE_DEVICE();
  const one_thread only;
  short_memory memory(Device::all());
  struct part_of_memory final {
    const char* model;
    std::size_t percent;
  };
  for (const part_of_memory& p : {part_of_memory{"mamba", 50}, {"gla", 50}, {"griffin", 95}}) {
    CAPTURE(p.model);
    memory.leave_all();
    const model<float> m(checkpoint::open(golden / p.model), memory.all());
    const std::vector<std::int64_t> ids = ids_for(m.vocabulary(), 900);
    std::vector<float> expected;
    const std::size_t taken = memory.taken_by([&] { expected = rollout_row(m, ids).scores; });
    memory.leave(1000);
    CHECK_THROWS_AS(rollout_row(m, ids), out_of_memory);
    if (p.percent > 50 && !test::tests_cpu()) continue;  // a device takes layers whole
    memory.refusals = 0;
    memory.leave(taken * p.percent / 100);
    CHECK(relative_miss(rollout_row(m, ids).scores, expected) <= 1e-5);
    CHECK(memory.refusals > 0);
  }
}

ON_EVERY_DEVICE("a gradient that finds too little memory holds fewer layers and stays the same bit for bit") {
  USE_DEVICE();
  const one_thread only;
  short_memory memory(Device::all());
  const model<float> m(checkpoint::open(golden / "mamba"), memory.all());
  const model_gradient<float> gradient(m);
  const std::vector<std::int64_t> ids = ids_for(m.vocabulary(), 900);
  const auto ask = [&] {
    std::vector<float> all;
    const gradients<float> g = gradient.of_last_logit(ids, 5);
    for (const tensor<float>& of_layer : g.mixer_in)
      for (const float x : numbers_of(of_layer)) all.push_back(x);
    return all;
  };
  std::vector<float> expected;
  const std::size_t taken = memory.taken_by([&] { expected = ask(); });
  memory.leave(1000);
  CHECK_THROWS_AS(ask(), out_of_memory);
  memory.refusals = 0;
  memory.leave(taken / 10 * 9);
  CHECK(ask() == expected);
  CHECK(memory.refusals > 0);
}

}  // namespace
}  // namespace alphaform
