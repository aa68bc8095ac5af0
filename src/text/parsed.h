#pragma once
// Result of a parser: a value, or what is wrong with the text. Bad text is normal, so parsers do
// not throw.

#include <optional>
#include <string>
#include <utility>

namespace pgforeman {

template <typename T>
struct Parsed {
  std::optional<T> value;
  std::string problem;  ///< set if there is no value: "has no unit"; never quotes the text

  static Parsed ok(T v) { return {std::move(v), {}}; }
  static Parsed wrong(std::string why) { return {std::nullopt, std::move(why)}; }
  explicit operator bool() const { return value.has_value(); }
};

}  // namespace pgforeman
