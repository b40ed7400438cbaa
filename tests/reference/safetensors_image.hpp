// A safetensors file as a test damages it: header and numbers, changed and written back.
#pragma once
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

namespace alphaform::test {

struct safetensors_image final {
  nlohmann::json header;
  std::string numbers;

  explicit safetensors_image(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    header = nlohmann::json::parse(bytes.substr(sizeof length, length));
    numbers = bytes.substr(sizeof length + length);
  }
  /// Entry k of a float32 tensor.
  float number(const std::string& tensor, std::size_t k) const {
    float value = 0;
    std::memcpy(&value, numbers.data() + place(tensor, k), sizeof value);
    return value;
  }
  void set(const std::string& tensor, std::size_t k, float value) {
    std::memcpy(numbers.data() + place(tensor, k), &value, sizeof value);
  }
  std::string bytes() const {
    const std::string head = header.dump();
    const std::uint64_t length = head.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + head + numbers;
  }

 private:
  std::size_t place(const std::string& tensor, std::size_t k) const {
    return header.at(tensor).at("data_offsets").at(0).get<std::size_t>() + k * sizeof(float);
  }
};

}  // namespace alphaform::test
