#include "system/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "system/log_sink.h"
#include "text/terminal_text.h"
#include "text/utf8.h"

namespace pgforeman::log {
namespace {

constexpr std::size_t kMaxValue = 2000;   // bytes of one value; the line needs room for others
constexpr std::size_t kLineReserve = 96;  // bytes for time, level and "truncated"

struct Message {
  std::int64_t id;
  int attempt;
};

/// Writes spdlog's lines; counts dropped lines in memory that is shared with every child.
class Sink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  Sink(int fd, std::atomic<std::uint64_t>* dropped) : lines_(fd), dropped_(dropped) {}
  int descriptor() const { return lines_.descriptor(); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (lines_.write({line.data(), line.size()})) return;
    dropped_->fetch_add(1, std::memory_order_relaxed);
    ++unreported;
  }
  void flush_() override {}

 public:
  std::uint64_t unreported = 0;

 private:
  LineSink lines_;
  std::atomic<std::uint64_t>* dropped_;
};

struct State {
  std::shared_ptr<Sink> sink;
  std::unique_ptr<spdlog::logger> logger;
  std::atomic<std::uint64_t>* dropped = nullptr;
  Format format = Format::text;
  std::string role = "pgforeman";
  int slot = -1;
  std::uint32_t epoch = 0;
  std::optional<Message> message;
};

State& state() {
  static State instance;
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  constexpr std::array kLevels = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                  spdlog::level::err};
  return kLevels[static_cast<std::size_t>(level)];
}

/// Returns a JSON string literal of kMaxValue + 2 bytes at most; invalid UTF-8 becomes U+FFFD.
std::string quoted(std::string_view text) {
  using nlohmann::json;
  std::string literal;
  std::size_t limit = kMaxValue;
  do {  // an escape may be six times as long as its character
    literal = terminal_json(
        json(utf8_prefix(text, limit)).dump(-1, ' ', false, json::error_handler_t::replace));
    limit /= 2;
  } while (literal.size() > kMaxValue + 2);
  return literal;
}

/// Escapes control characters: a handler's text must not control a terminal or fake a log line.
std::string plain(std::string_view text) {
  return std::string(utf8_prefix(terminal_text(utf8_prefix(text, kMaxValue)), kMaxValue));
}

bool needs_quotes(std::string_view text) {
  if (text.empty()) return true;
  return text.find_first_of(" \"=\\") != std::string_view::npos || !is_terminal_safe(text);
}

std::string value_text(const Field& field, Format format) {
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) return std::to_string(*number);
  if (const auto* real = std::get_if<double>(&field.value)) return fmt::format("{:.3f}", *real);
  if (const auto* flag = std::get_if<bool>(&field.value)) return *flag ? "true" : "false";
  const auto text = std::get<std::string_view>(field.value);
  return format == Format::json || needs_quotes(text) ? quoted(text)
                                                      : std::string(utf8_prefix(text, kMaxValue));
}

/// Builds a line from fields. Leaves out fields that do not fit and then adds truncated=true.
class LineBuilder {
 public:
  LineBuilder(Format format, std::string_view text) : format_(format) {
    line_ = format == Format::json ? "\"message\":" + quoted(text) : plain(text);
  }
  void add(const Field& field) {
    const std::string value = value_text(field, format_);
    if (line_.size() + field.key.size() + value.size() + 4 + kLineReserve > LineSink::kMaxLine) {
      if (!truncated_) append("truncated", "true");
      truncated_ = true;
      return;
    }
    append(field.key, value);
  }
  const std::string& line() const { return line_; }

 private:
  void append(std::string_view key, std::string_view value) {
    line_ += format_ == Format::json ? fmt::format(",\"{}\":{}", key, value)
                                     : fmt::format(" {}={}", key, value);
  }
  Format format_;
  std::string line_;
  bool truncated_ = false;
};

void emit(State& s, Level level, std::string_view text, Fields fields) {
  LineBuilder builder(s.format, text);
  builder.add({"role", s.role});
  if (s.slot >= 0) builder.add({"slot", s.slot});
  builder.add({"pid", ::getpid()});
  if (s.epoch > 0) builder.add({"epoch", s.epoch});
  if (s.message) {
    builder.add({"message_id", s.message->id});
    builder.add({"attempt", s.message->attempt});
  }
  for (const auto& field : fields) builder.add(field);
  s.logger->log(to_spdlog(level), fmt::string_view(builder.line().data(), builder.line().size()));
}

}  // namespace

void configure(Level level, Format format, int fd) {
  State& s = state();
  if (s.dropped == nullptr) {
    void* shared = ::mmap(nullptr, sizeof(std::atomic<std::uint64_t>), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::bad_alloc();
    s.dropped = new (shared) std::atomic<std::uint64_t>(0);
  }
  s.sink = std::make_shared<Sink>(fd, s.dropped);
  s.logger = std::make_unique<spdlog::logger>("pgforeman", s.sink);
  set_level(level, format);
}

void set_level(Level level, Format format) {
  State& s = state();
  if (!s.logger) return;
  s.format = format;
  s.logger->set_level(to_spdlog(level));
  const char* pattern = format == Format::json
                            ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                            : "%Y-%m-%dT%H:%M:%S.%eZ %-7l %v";
  s.sink->set_formatter(
      std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n"));
}

bool enabled(Level level) {
  const State& s = state();
  return s.logger && s.logger->should_log(to_spdlog(level));
}

int descriptor() {
  const State& s = state();
  return s.sink ? s.sink->descriptor() : -1;
}

void identify(std::string_view role, int slot, std::uint32_t epoch) {
  State& s = state();
  s.role = role;
  s.slot = slot;
  s.epoch = epoch;
}

std::uint64_t dropped_lines() {
  const State& s = state();
  return s.dropped == nullptr ? 0 : s.dropped->load(std::memory_order_relaxed);
}

MessageScope::MessageScope(std::int64_t id, int attempt) {
  state().message = {id, attempt};
}
MessageScope::~MessageScope() {
  state().message.reset();
}

void write(Level level, std::string_view text, Fields fields) {
  State& s = state();
  if (!enabled(level)) return;
  const std::uint64_t missing = s.sink->unreported;
  emit(s, level, text, fields);
  // The line above was written, so the pipe is read again: now report the lines that were dropped.
  if (missing > 0 && s.sink->unreported == missing) {
    s.sink->unreported = 0;
    emit(s, Level::warn, "log lines were dropped: the log's reader was too slow",
         {{"lines", missing}});
  }
}

}  // namespace pgforeman::log
