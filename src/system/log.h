#pragma once
// Structured log lines for people (text) and machines (one JSON object a line).
//
// One write a line, at most 4,096 bytes, so that lines of several processes never tear. Never
// blocks: on a full pipe the line is dropped and counted, and the count is logged on recovery.
// Fork: configure() before; identify() in the child right after. Single-threaded.
//
// Never pass a payload or a password.

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <variant>

namespace pgforeman::log {

enum class Level { debug, info, warn, error };
enum class Format { text, json };

/// One key=value of a line. The views must live until the call returns.
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

/// Sends lines to `fd` (not owned; reopened privately where the system allows it). Before the
/// first call nothing is written.
void configure(Level level, Format format, int fd);
void set_level(Level level, Format format);
bool enabled(Level level);

/// The private descriptor lines go to, which a forked child must keep open; -1: none.
int descriptor();

/// What process writes: every later line carries it. Slot -1: no slot.
void identify(std::string_view role, int slot, std::uint32_t epoch);

/// Lines dropped so far by this process and every one forked from it after configure().
std::uint64_t dropped_lines();

/// While it lives, lines carry the message's id and attempt.
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
