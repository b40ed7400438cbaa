// Reader of the zip files that torch.save writes since PyTorch 1.6 (pytorch.org/docs/stable/notes/serialization.html):
// a pickle that describes the saved object, and one uncompressed entry for each storage. Nothing of the pickle is run;
// see pickle.hpp. The input is untrusted.
#pragma once
#include <alphaform/architectures/checkpoint/tensor_file.hpp>
#include <cstddef>
#include <filesystem>
#include <span>

namespace alphaform {

/// True if the image starts as PyTorch files before 1.6 do, which are no zip archives and are not read.
bool is_legacy_torch(std::span<const std::byte> image);

/// The tensors of a state dict, contiguous and row-major. The state dict is the member "model", "model_state_dict" or
/// "state_dict" of the saved dict, the first of them that holds tensors, or else the whole saved dict; names of nested
/// dicts (and places in lists) are joined with '.'. Tensors and parameters are taken, and numbers, texts and objects of
/// other classes beside them left out. The bytes of contiguous tensors are shared as in the file.
/// @throws user_error if the file is malformed, big-endian or TorchScript, holds no state dict, or if its state dict
/// has a tensor that only a function outside torch._utils._rebuild_tensor_v2, _rebuild_parameter and
/// _rebuild_parameter_with_state could make; runtime_error if the system cannot map it.
tensor_file read_torch_file(const std::filesystem::path& path);

}  // namespace alphaform
