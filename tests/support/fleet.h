#pragma once
// Runs the real daemon in its own environment, and watches it through its endpoint, its log and
// /proc. The destructor kills it and every process that it started, in every case.

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/http.h"
#include "support/process.h"

namespace pgforeman::test {

using namespace std::chrono_literals;

/// Options without prefix: {"QUEUE", "q"}. Names in lower case or with PG are set unchanged.
using Settings = std::map<std::string, std::string>;

/// The fields of /status that tests use; parsed strictly: every field must exist.
struct SlotStatus {
  int slot = 0;
  pid_t pid = 0;  ///< 0: no process
  int epoch = 0;
  std::string phase;
  double deadline_in_seconds = 0;
  bool connected = false;
  std::int64_t message_id = 0;  ///< 0: none
  int batch = 0;
  int restarts = 0;
  bool crash_looping = false;
  double restart_in_seconds = 0;
  std::string last_cause, last_explain;  ///< "" if no child has ended in this slot
  std::int64_t done = 0;
};

struct Status {
  std::string state, not_ready_reason, not_live_reason;
  bool live = false, ready = false;
  std::map<std::string, std::int64_t> messages;  ///< done, retry, dead, released, lost_lease
  std::map<std::string, std::int64_t> exits;
  std::vector<SlotStatus> slots;
  SlotStatus maintenance;
};

/// One JSON line of the log. Values are JSON text, but strings without quotes.
struct LogLine {
  double time = 0;  ///< seconds since the epoch
  std::string level, message;
  std::map<std::string, std::string> fields;
  std::string operator[](const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

/// Throws std::exception if the text is not JSON or lacks a field.
Status parse_status(const std::string& text);
/// Throws std::runtime_error in the same cases.
LogLine parse_log_line(const std::string& text);

class Fleet {
 public:
  enum class Wait { nothing, port, ready };

  /// Adds QUEUE=q, HEALTH_ADDRESS=127.0.0.1, HEALTH_PORT=0, LOG_FORMAT=json. Throws
  /// std::runtime_error with the daemon's output if it does not get as far as `wait`.
  explicit Fleet(const Settings& settings, Wait wait = Wait::ready,
                 const std::function<void(Launch&)>& adjust = {});
  ~Fleet();
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  pid_t pid() const { return pid_; }
  int port() const { return port_; }
  const std::string& mark() const { return mark_; }

  HttpReply get(const std::string& target, std::chrono::milliseconds limit = 5s) const {
    return http_get(port_, target, limit);
  }
  Status status() const;
  std::string metrics() const { return get("/metrics").body; }

  /// Returns the lines so far; with `message`, only those with exactly this message.
  std::vector<LogLine> log(const std::string& message = "") const;
  std::string log_text() const { return read_file(out_); }
  std::string errors() const { return read_file(err_); }
  /// Returns errors() without the daemon's warnings and without libpq's own lines: messages of a
  /// server that ends a session while it is opened. The rest is from the C library or a sanitizer.
  std::string last_words() const;

  /// Waits for a line of the log; nothing if it does not come in time.
  std::optional<LogLine> wait_for_log(const std::string& message,
                                      const std::function<bool(const LogLine&)>& that = {},
                                      std::chrono::milliseconds limit = 10s) const;
  bool wait_for_status(const std::function<bool(const Status&)>& that,
                       std::chrono::milliseconds limit = 10s) const;
  bool wait_ready(std::chrono::milliseconds limit = 20s) const;

  void signal(int number) const { ::kill(pid_, number); }
  /// Waits for the daemon's end and reaps it; nothing if it does not end in time. Call only once.
  std::optional<Ended> wait_end(std::chrono::milliseconds limit = 15s);
  /// Sends TERM and waits. Returns the exit code; -1 if it ends by a signal or not in time.
  int stop(std::chrono::milliseconds limit = 30s);

  /// Returns all running processes of the fleet, including the supervisor.
  std::vector<pid_t> processes() const { return marked_processes(mark_); }

 private:
  bool read_port();

  TempFolder folder_;
  std::string mark_, out_, err_;
  pid_t pid_ = -1;
  int port_ = 0;
  bool ended_ = false;
};

/// The result of run_command(), which runs the binary with arguments `words` to its end.
struct CommandResult {
  int code = -1;  ///< -1: ended by a signal, or not in time
  std::string out, err;
  std::chrono::milliseconds took{0};
};
CommandResult run_command(const std::vector<std::string>& words, const Settings& settings = {},
                          const std::string& input = "", std::chrono::milliseconds limit = 20s);

/// The path of the binary under test: that of $DAEMON_UNDER_TEST, or this build's.
std::string binary_path();
/// True if it was built with AddressSanitizer, which takes several times the time and memory.
bool daemon_is_sanitized();

}  // namespace pgforeman::test
