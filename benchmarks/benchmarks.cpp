#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <alphaform/backends/recorded.hpp>
#include <alphaform/benchmarks/backend.hpp>
#include <alphaform/benchmarks/benchmarks.hpp>
#include <alphaform/benchmarks/cases.hpp>
#include <alphaform/error.hpp>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <set>

namespace alphaform::benchmarks {

namespace {

std::string_view group_of(std::string_view name) { return name.substr(0, name.find('/')); }

std::vector<named_case> every_case() {
  std::vector<named_case> all;
  for (auto* const cases : {mamba_cases, channel_cases, head_cases, filter_cases, model_cases, rollout_cases})
    std::ranges::move(cases(), std::back_inserter(all));
  return all;
}

std::vector<named_case> chosen(const request& r) {
  std::vector<named_case> all, some;
  if (r.growth)
    for (growth_curve& c : growth_curves())
      for (growth_curve::point& p : c.points) all.push_back(std::move(p.of));
  else
    all = every_case();
  if (r.names.empty()) return all;
  const auto fits = [](const named_case& c, const std::string& n) { return c.name == n || group_of(c.name) == n; };
  for (const std::string& n : r.names)
    if (std::ranges::none_of(all, [&](const named_case& c) { return fits(c, n); })) {
      std::set<std::string_view> groups;
      for (const named_case& c : all) groups.insert(group_of(c.name));
      throw user_error(fmt::format("there is no benchmark '{}'; --list says which there are, groups are {}", n,
                                   fmt::join(groups, ", ")));
    }
  std::ranges::copy_if(all, std::back_inserter(some), [&](const named_case& c) {
    return std::ranges::any_of(r.names, [&](const std::string& n) { return fits(c, n); });
  });
  return some;
}

/// A job as often as its numbers make more than any cache holds, in turns; so many replays of all of them that waiting
/// for the last one does not count.
class recorded_job final {
 public:
  recorded_job(const named_case& c, bool small) {
    constexpr double cached = 256e6;  // bytes
    constexpr std::size_t most = 8;
    jobs_.push_back(c.prepare(small));
    const double bytes = std::max(jobs_.front().least.bytes, 1.0);
    while (jobs_.size() < most && static_cast<double>(jobs_.size()) * bytes < cached) jobs_.push_back(c.prepare(small));
    for (const job& j : jobs_) recorded_.push_back(std::make_unique<recorded<float>>(backend(), j.run));
    run();
    const auto start = std::chrono::steady_clock::now();
    run();
    const std::chrono::duration<double> once = std::chrono::steady_clock::now() - start;
    turns_ = small ? 1 : static_cast<std::size_t>(std::ceil(at_least / std::max(once.count(), 1e-6)));
  }
  /// All turns, to the end of the last one.
  void run() {
    for (std::size_t k = 0; k < turns_; ++k)
      for (const auto& r : recorded_) r->replay();
    finish();
  }
  std::size_t replays() const { return turns_ * jobs_.size(); }
  const needs& least() const { return jobs_.front().least; }

 private:
  static constexpr double at_least = 5e-3;  // seconds
  std::size_t turns_ = 1;
  std::vector<job> jobs_;
  std::vector<std::unique_ptr<recorded<float>>> recorded_;
};

/// Prepares the case when it runs first, beside its ceilings, and keeps it for all repetitions, but no longer.
class running final {
 public:
  running(named_case c, const request& r)
      : case_(std::move(c)), small_(r.small), replays_(r.replay && !case_.hands_over) {}

  const std::string& name() const { return case_.name; }
  void run(benchmark::State& state) {
    try {
      if (!job_) {
        if (replays_) {
          recorded_ = std::make_unique<recorded_job>(case_, small_);
          job_ = job{recorded_->least(), [r = recorded_.get()] { r->run(); }};
        } else {
          job_ = case_.prepare(small_);
        }
        ceilings_ = (backend().has_own_memory ? device_ceilings_for : ceilings_for)(job_->least, small_);
        job_->run();
        finish();
      }
      for (auto _ : state) {
        job_->run();
        finish();
      }
    } catch (...) {
      failure_ = std::current_exception();
      state.SkipWithError("");
    }
  }
  measurement finished(double seconds) {
    if (failure_) std::rethrow_exception(failure_);
    const double times = recorded_ ? static_cast<double>(recorded_->replays()) : 1;
    const measurement m{case_.name, seconds / times, job_->least, ceilings_};
    job_.reset();
    recorded_.reset();
    return m;
  }

 private:
  named_case case_;
  bool small_, replays_;
  std::unique_ptr<recorded_job> recorded_;
  std::optional<job> job_;
  rates ceilings_;
  std::exception_ptr failure_;
};

/// Takes the shortest repetition of each case; on a device, where nothing else runs beside it, the median.
class collector final : public benchmark::BenchmarkReporter {
 public:
  collector(std::vector<running>& cases, const std::function<void(const measurement&)>& each)
      : cases_(cases), each_(each) {}

  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    if (runs.front().run_type == Run::RT_Aggregate) return;  // told separately, after the repetitions
    std::vector<double> seconds;
    for (const Run& r : runs)
      if (!r.error_occurred) seconds.push_back(r.real_accumulated_time / static_cast<double>(r.iterations));
    std::ranges::sort(seconds);
    const std::size_t taken = backend().has_own_memory ? seconds.size() / 2 : 0;
    all.push_back(
        cases_[all.size()].finished(seconds.empty() ? std::numeric_limits<double>::infinity() : seconds[taken]));
    each_(all.back());
  }

  std::vector<measurement> all;

 private:
  std::vector<running>& cases_;
  const std::function<void(const measurement&)>& each_;
};

}  // namespace

std::vector<case_name> chosen_cases(const request& r) {
  std::vector<case_name> names;
  for (const named_case& c : chosen(r)) names.push_back({c.name, c.what});
  return names;
}

std::vector<growth_point> growth_points() {
  std::vector<growth_point> all;
  for (const growth_curve& c : growth_curves())
    for (const growth_curve::point& p : c.points) all.push_back({c.name, c.size, p.value, p.of.name});
  return all;
}

std::vector<measurement> measure(const request& r, const std::function<void(const measurement&)>& each) {
  std::vector<running> cases;
  for (named_case& c : chosen(r)) cases.emplace_back(std::move(c), r);
  benchmark::ClearRegisteredBenchmarks();
  for (running& c : cases) {
    auto* const b = benchmark::RegisterBenchmark(c.name().c_str(), [&c](benchmark::State& s) { c.run(s); });
    b->UseRealTime();
    if (r.small)
      b->Iterations(1);
    else
      b->MinTime(0.2)->Repetitions(static_cast<int>(r.repetitions));
  }
  collector of_all(cases, each);
  benchmark::RunSpecifiedBenchmarks(&of_all, ".");
  benchmark::ClearRegisteredBenchmarks();
  return of_all.all;
}

}  // namespace alphaform::benchmarks
