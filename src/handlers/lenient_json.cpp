#include "handlers/lenient_json.h"

#include <charconv>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>

#include "text/utf8.h"

namespace pgforeman {
namespace {

constexpr std::string_view kStructure = "{}[]:,";
constexpr std::string_view kSpace = " \t\r\n";

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20;
}

/// Returns the code unit if `text` begins with an escape `\uXXXX`.
std::optional<unsigned> code_unit(std::string_view text) {
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return std::nullopt;
  unsigned unit = 0;
  const char* const end = text.data() + 6;
  if (std::from_chars(text.data() + 2, end, unit, 16).ptr != end) return std::nullopt;
  return unit;
}

class Mender {
 public:
  explicit Mender(std::string_view text) : rest_(text) { out_.reserve(text.size() + 16); }

  std::string mend() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"') {
        string();
      } else if (kStructure.find(c) != std::string_view::npos) {
        structure(c);
      } else if (kSpace.find(c) != std::string_view::npos || is_control(c)) {
        rest_.remove_prefix(1);
      } else {
        bare_token();
      }
    }
    return std::move(out_);
  }

 private:
  void structure(char c) {
    if ((c == '}' || c == ']') && !out_.empty() && out_.back() == ',') out_.pop_back();
    out_ += c;
    rest_.remove_prefix(1);
  }

  /// Copies a literal or a number; turns any other bare word into a string.
  void bare_token() {
    std::size_t end = 0;
    while (end < rest_.size() && !is_control(rest_[end]) && rest_[end] != '"' &&
           kStructure.find(rest_[end]) == std::string_view::npos &&
           kSpace.find(rest_[end]) == std::string_view::npos) {
      ++end;
    }
    const std::string_view token = rest_.substr(0, end);
    if (nlohmann::json::accept(token)) {
      out_ += token;
    } else {
      out_ += nlohmann::json(token).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    }
    rest_.remove_prefix(end);
  }

  void string() {
    take(1);
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\') {
        escape();
      } else if (is_control(rest_.front())) {
        constexpr std::string_view kHex = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(rest_.front());
        out_ += {'\\', 'u', '0', '0', kHex[byte >> 4U], kHex[byte & 15U]};
        rest_.remove_prefix(1);
      } else {
        take(1);
      }
    }
    if (!rest_.empty()) take(1);
  }

  void escape() {
    constexpr std::string_view kKnown = "\"\\/bfnrt";
    if (rest_.size() > 1 && kKnown.find(rest_[1]) != std::string_view::npos) return take(2);
    const auto unit = code_unit(rest_);
    if (!unit) {
      out_ += "\\\\";
      return rest_.remove_prefix(1);
    }
    if (*unit < 0xD800 || *unit > 0xDFFF) return take(6);
    const auto second = code_unit(rest_.substr(6));
    if (*unit <= 0xDBFF && second && *second >= 0xDC00 && *second <= 0xDFFF) return take(12);
    out_ += "\\ufffd";
    rest_.remove_prefix(6);
  }

  void take(std::size_t bytes) {
    out_ += rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
  }

  std::string_view rest_;
  std::string out_;
};

}  // namespace

std::string mend_json(std::string_view line) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (line.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
    line.remove_prefix(kByteOrderMark.size());
  }
  const std::string text = to_valid_utf8(line);
  return Mender(text).mend();
}

}  // namespace pgforeman
