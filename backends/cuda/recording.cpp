// Graphs of what was asked of the queue.
#include <alphaform/backends/cuda/device.hpp>
#include <alphaform/backends/cuda/functions.hpp>
#include <utility>

namespace alphaform::cuda {

namespace {

/// While it exists, the queue remembers instead of working.
class recorder final {
 public:
  recorder() { check(cudaStreamBeginCapture(queue(), cudaStreamCaptureModeThreadLocal), "record its work"); }
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;
  ~recorder() {
    cudaGraph_t graph = nullptr;
    if (recording_) cudaStreamEndCapture(queue(), &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    if (recording_) cudaGetLastError();
  }
  cudaGraph_t finished() {
    cudaGraph_t graph = nullptr;
    recording_ = false;
    check(cudaStreamEndCapture(queue(), &graph), "record its work");
    return graph;
  }

 private:
  bool recording_ = true;
};

}  // namespace

std::shared_ptr<void> record(const std::function<void()>& work) {
  recorder r;
  work();
  cudaGraph_t graph = r.finished();
  cudaGraphExec_t program = nullptr;
  // What is left allocated at the end, as a result may be, is given back when it starts again.
  const cudaError_t made = cudaGraphInstantiateWithFlags(&program, graph, cudaGraphInstantiateFlagAutoFreeOnLaunch);
  cudaGraphDestroy(graph);
  check(made, "take what was recorded");
  return {program, [](void* p) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(p)); }};
}

void replay(void* recorded) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(recorded), queue()), "start what was recorded");
}

}  // namespace alphaform::cuda
