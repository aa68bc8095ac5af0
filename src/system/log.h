#pragma once
// Writes structured log lines for people (text) or machines (one JSON object a line).
//
// Each line is one write of at most 4,096 bytes, so that lines of several processes never mix. A
// write never blocks: if the pipe is full the line is dropped and counted, and the count is logged
// later. Fork: configure() before; identify() in the child right after. Single-threaded.
//
// Payloads and passwords must never be passed to these functions.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace pgforeman::log {

enum class Level { debug, info, warn, error };
enum class Format { text, json };

/// One key=value of a line. The views must live until the log call returns.
struct Field {
  std::string_view key;
  std::variant<std::int64_t, double, bool, std::string_view> value;

  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(std::string_view(v)) {}
  Field(std::string_view k, bool v) : key(k), value(v) {}
  Field(std::string_view k, double v) : key(k), value(v) {}
  template <std::integral T>
  Field(std::string_view k, T v) : key(k), value(static_cast<std::int64_t>(v)) {}
};
using Fields = std::initializer_list<Field>;

/// Makes log lines go to `fd` (not owned; reopened for this process if the system allows it).
/// Before the first call nothing is written.
void configure(Level level, Format format, int fd);
void set_level(Level level, Format format);
bool enabled(Level level);

/// Returns the descriptor of the log, which a forked child must keep open; -1 if there is none.
int descriptor();

/// Sets the identity of this process, which every later line contains. Slot -1 means no slot.
void identify(std::string_view role, int slot, std::uint32_t epoch);

/// Returns the number of lines dropped by the process that called configure() and its later forks.
std::uint64_t dropped_lines();

/// Adds the message's id and attempt to every line while this object lives.
class MessageScope {
 public:
  MessageScope(std::int64_t id, int attempt);
  ~MessageScope();
  MessageScope(const MessageScope&) = delete;
  MessageScope& operator=(const MessageScope&) = delete;
};

void write(Level level, std::string_view text, Fields fields = {});

inline void debug(std::string_view text, Fields f = {}) {
  write(Level::debug, text, f);
}
inline void info(std::string_view text, Fields f = {}) {
  write(Level::info, text, f);
}
inline void warn(std::string_view text, Fields f = {}) {
  write(Level::warn, text, f);
}
inline void error(std::string_view text, Fields f = {}) {
  write(Level::error, text, f);
}

}  // namespace pgforeman::log
