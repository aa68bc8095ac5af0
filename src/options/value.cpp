#include "options/value.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <type_traits>

#include "text/quantity.h"
#include "text/terminal_text.h"
#include "text/utf8.h"

namespace pgforeman {
namespace {

// In bytes: longer than usual values, and short enough for a line on a terminal.
constexpr std::size_t kMaxShown = 120;

bool within_limits(const Option& option, std::int64_t number) {
  return number >= option.range.least && number <= option.range.most;
}

std::string must_be(const Option& option) {
  return "must be " + allowed_values(option);
}

struct Setter {
  const Option& option;
  std::string_view text;
  Options& options;

  std::optional<std::string> operator()(std::string Options::*member) const {
    if (option.rule.holds != nullptr && !option.rule.holds(text)) return must_be(option);
    options.*member = std::string(text);
    return std::nullopt;
  }

  std::optional<std::string> operator()(int Options::*member) const {
    if (!option.zero_word.empty() && text == option.zero_word) {
      options.*member = 0;
      return std::nullopt;
    }
    const auto number = parse_number(text);
    if (!number || !within_limits(option, *number)) return must_be(option);
    options.*member = static_cast<int>(*number);
    return std::nullopt;
  }

  std::optional<std::string> operator()(Millis Options::*member) const {
    const Parsed<Millis> duration = parse_duration(text);
    if (!duration) return duration.problem + "; " + must_be(option);
    if (!within_limits(option, duration.value->count())) return must_be(option);
    options.*member = *duration.value;
    return std::nullopt;
  }

  std::optional<std::string> operator()(ByteSize Options::*member) const {
    const Parsed<ByteSize> size = parse_byte_size(text);
    if (!size) return size.problem + "; " + must_be(option);
    if (size.value->bytes != 0 && !within_limits(option, size.value->bytes)) return must_be(option);
    options.*member = *size.value;
    return std::nullopt;
  }

  template <typename Enum>
  std::optional<std::string> operator()(Enum Options::*member) const {
    static_assert(std::is_enum_v<Enum>);
    const auto found = std::find(option.choices.begin(), option.choices.end(), text);
    if (found == option.choices.end()) return must_be(option);
    options.*member = static_cast<Enum>(found - option.choices.begin());
    return std::nullopt;
  }
};

std::string choices_text(std::span<const std::string_view> choices) {
  std::string text;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    if (i > 0) text += i + 1 == choices.size() ? " or " : ", ";
    text += choices[i];
  }
  return text;
}

}  // namespace

std::optional<std::string> set_value(const Option& option, std::string_view text,
                                     Options& options) {
  return std::visit(Setter{option, text, options}, option.target);
}

std::string allowed_values(const Option& option) {
  if (std::holds_alternative<int Options::*>(option.target)) {
    const std::string number =
        fmt::format("a whole number from {} to {}", option.range.least, option.range.most);
    return option.zero_word.empty() ? number : fmt::format("{} or {}", option.zero_word, number);
  }
  if (std::holds_alternative<Millis Options::*>(option.target)) {
    return fmt::format("a duration from {} with a unit of ms, s, m or h, such as {}",
                       limits(option), option.default_text);
  }
  if (std::holds_alternative<ByteSize Options::*>(option.target)) {
    return fmt::format("{} in bytes or with a unit of KiB, MiB or GiB, such as {}", limits(option),
                       option.example);
  }
  return limits(option);
}

std::string limits(const Option& option) {
  if (std::holds_alternative<int Options::*>(option.target)) {
    const std::string range = fmt::format("{} to {}", option.range.least, option.range.most);
    return option.zero_word.empty() ? range : fmt::format("{}, or {}", option.zero_word, range);
  }
  if (std::holds_alternative<Millis Options::*>(option.target)) {
    return fmt::format("{} to {}", format_duration(Millis{option.range.least}),
                       format_duration(Millis{option.range.most}));
  }
  if (std::holds_alternative<ByteSize Options::*>(option.target)) {
    return fmt::format("0, or {} to {}", format_byte_size({option.range.least}),
                       format_byte_size({option.range.most}));
  }
  return option.choices.empty() ? std::string(option.rule.allowed) : choices_text(option.choices);
}

bool consists_of(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == std::string_view::npos;
}

bool is_queue_name(std::string_view text) {
  return text.size() <= 63 && consists_of(text, std::string(kWordCharacters) + ".:-");
}

bool is_address(std::string_view text) {
  const std::string copy(text);
  std::array<unsigned char, 16> bytes{};
  return copy.find('\0') == std::string::npos &&
         (::inet_pton(AF_INET, copy.c_str(), bytes.data()) == 1 ||
          ::inet_pton(AF_INET6, copy.c_str(), bytes.data()) == 1);
}

bool is_path(std::string_view text) {
  // A URL here is a database address that was put into the wrong variable.
  return !text.empty() && text.find('\0') == std::string_view::npos &&
         text.find("://") == std::string_view::npos;
}

bool may_hold_password(std::string_view value) {
  if (value.find("://") != std::string_view::npos) return true;
  constexpr std::string_view kWord = "password";
  const auto same = [](char a, char b) { return (a | 0x20) == b; };
  for (auto at = value.begin();; ++at) {
    at = std::search(at, value.end(), kWord.begin(), kWord.end(), same);
    if (at == value.end()) return false;
    const auto next = std::find_if(at + static_cast<std::ptrdiff_t>(kWord.size()), value.end(),
                                   [](char c) { return c != ' '; });
    if (next != value.end() && *next == '=') return true;
  }
}

std::string shown(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= kMaxShown) return out + "...";
    if (const std::size_t length = safe_character(text); length > 0) {
      out += text.substr(0, length);
      text.remove_prefix(length);
      continue;
    }
    const std::size_t bytes = std::max<std::size_t>(1, utf8_character(text).bytes);
    for (const char c : text.substr(0, bytes)) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
    text.remove_prefix(bytes);
  }
  return out;
}

std::string shown_handler(const Options& options) {
  if (options.handler_mode == HandlerMode::noop) return {};
  if (!may_hold_password(options.handler) || options.handler_argv.empty()) return options.handler;
  return options.handler_argv.front() + " ...";
}

std::string_view to_string(HandlerMode mode) {
  return find_option("HANDLER_MODE")->choices[static_cast<std::size_t>(mode)];
}

std::string_view trimmed(std::string_view text) {
  // The last three are the byte order mark, no-break space and zero width space in UTF-8.
  constexpr std::array<std::string_view, 9> kBlanks = {
      " ", "\t", "\r", "\n", "\v", "\f", "\xef\xbb\xbf", "\xc2\xa0", "\xe2\x80\x8b"};
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view blank : kBlanks) {
      if (text.size() < blank.size()) continue;
      if (text.substr(0, blank.size()) == blank) {
        text.remove_prefix(blank.size());
        more = true;
      } else if (text.substr(text.size() - blank.size()) == blank) {
        text.remove_suffix(blank.size());
        more = true;
      }
    }
  }
  return text;
}

bool same_value(const Option& option, const Options& a, const Options& b) {
  return std::visit([&](auto member) { return a.*member == b.*member; }, option.target);
}

}  // namespace pgforeman
