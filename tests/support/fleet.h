#pragma once
// The real daemon under test: started with an environment of its own, watched through its endpoint,
// its log and /proc, and gone with everything it started when this object goes, whatever happens.

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

/// Options without their prefix: {"QUEUE", "q"}. A lower-case name is set as it is.
using Settings = std::map<std::string, std::string>;

/// What a test wants of /status; parsed strictly, every field must be there.
struct SlotStatus {
  int slot = 0;
  pid_t pid = 0;  ///< 0: none
  int epoch = 0;
  std::string phase;
  double deadline_in_seconds = 0;
  bool connected = false;
  std::int64_t message_id = 0;  ///< 0: none
  int batch = 0;
  int restarts = 0;
  bool crash_looping = false;
  double restart_in_seconds = 0;
  std::string last_cause, last_explain;  ///< "" when no child has ended here
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

/// One JSON line of the log. Values are text as JSON has them, strings without quotes.
struct LogLine {
  double time = 0;  ///< seconds since the epoch
  std::string level, message;
  std::map<std::string, std::string> fields;
  std::string operator[](const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

/// Throws std::runtime_error for what is no JSON or lacks a field.
Status parse_status(const std::string& text);
LogLine parse_log_line(const std::string& text);

class Fleet {
 public:
  enum class Wait { nothing, port, ready };

  /// Fills in: QUEUE=q, HEALTH_ADDRESS=127.0.0.1, HEALTH_PORT=0, LOG_FORMAT=json. Throws
  /// std::runtime_error with what the daemon said when it does not come as far as `wait`.
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

  /// Lines so far; with `message`, those that say just that.
  std::vector<LogLine> log(const std::string& message = "") const;
  std::string log_text() const { return read_file(out_); }
  std::string errors() const { return read_file(err_); }
  /// The same without warnings of the daemon, and without what libpq itself writes there: what the
  /// server says to a session at its end, while that is being opened. What is left is the C
  /// library's or a sanitizer's.
  std::string last_words() const;

  /// Waits for a line of the log; nothing when it does not come in time.
  std::optional<LogLine> wait_for_log(const std::string& message,
                                      const std::function<bool(const LogLine&)>& that = {},
                                      std::chrono::milliseconds limit = 10s) const;
  bool wait_for_status(const std::function<bool(const Status&)>& that,
                       std::chrono::milliseconds limit = 10s) const;
  bool wait_ready(std::chrono::milliseconds limit = 20s) const;

  void signal(int number) const { ::kill(pid_, number); }
  /// Its end, if it ends in time. Reaps; ask once.
  std::optional<Ended> wait_end(std::chrono::milliseconds limit = 15s);
  /// TERM, then its end; -1 when it does not end with an exit code in time.
  int stop(std::chrono::milliseconds limit = 30s);

  /// Everything of it that runs, the supervisor included.
  std::vector<pid_t> processes() const { return marked_processes(mark_); }

 private:
  bool read_port();

  TempFolder folder_;
  std::string mark_, out_, err_;
  pid_t pid_ = -1;
  int port_ = 0;
  bool ended_ = false;
};

/// Runs the binary with `words` to its end.
struct CommandResult {
  int code = -1;  ///< -1: a signal, or not in time
  std::string out, err;
  std::chrono::milliseconds took{0};
};
CommandResult run_command(const std::vector<std::string>& words, const Settings& settings = {},
                          const std::string& input = "", std::chrono::milliseconds limit = 20s);

/// The binary under test.
std::string binary_path();

}  // namespace pgforeman::test
