// Streams of the windows that are being evaluated.
#pragma once
#include <alphaform/algebra/graph.hpp>
#include <alphaform/backends/engine/window.hpp>
#include <alphaform/backends/tensor.hpp>
#include <unordered_map>
#include <vector>

namespace alphaform {

/// Streams by their nodes, those of the last few windows.
template <class T>
class remembered final {
 public:
  std::unordered_map<node_index, tensor<T>>& around(const window& w) {
    constexpr std::size_t most = 4;
    for (frame& f : frames_)
      if (f.w == w) return f.streams;
    if (frames_.size() == most) frames_.erase(frames_.begin());
    return frames_.emplace_back(frame{w, {}}).streams;
  }
  void forget() { frames_.clear(); }

 private:
  struct frame final {
    window w;
    std::unordered_map<node_index, tensor<T>> streams;
  };
  std::vector<frame> frames_;
};

/// What evaluations remember together, from the beginning of a query to its end; others may be asked within it.
template <class T>
class remembered_by_all final {
 public:
  class query final {
   public:
    explicit query(remembered_by_all* all) : all_(all) {
      if (all_ != nullptr) ++all_->queries_;
    }
    query(const query&) = delete;
    query& operator=(const query&) = delete;
    ~query() {
      if (all_ != nullptr && --all_->queries_ == 0) all_->streams_.forget();
    }

   private:
    remembered_by_all* all_;
  };
  bool is_asked() const { return queries_ > 0; }
  remembered<T>& streams() { return streams_; }
  /// Forgets all, unless this is within another query, which may want it.
  void next_window() {
    if (queries_ <= 1) streams_.forget();
  }

 private:
  remembered<T> streams_;
  int queries_ = 0;
};

}  // namespace alphaform
