#include "queue/history.h"

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <nlohmann/json.hpp>

#include "queue/sql_text.h"
#include "text/utc_time.h"

namespace pgforeman {
namespace {

/// Returns this host's network name: in Kubernetes the pod's name.
const std::string& host() {
  static const std::string name = [] {
    utsname names{};
    return std::string(::uname(&names) == 0 ? names.nodename : "unknown");
  }();
  return name;
}

}  // namespace

std::optional<std::string> history_entry(const Settlement& settlement) {
  const auto& [lease, outcome, run] = settlement;
  const Evidence& evidence = outcome.evidence;
  if (evidence.cause == Cause::none) return std::nullopt;
  nlohmann::ordered_json entry = {{"cause", to_string(evidence.cause)}};
  if (run.started_ms > 0) {
    const auto now = std::chrono::floor<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    entry["started"] = utc_text(std::chrono::sys_time<Millis>{Millis{run.started_ms}});
    entry["seconds"] =
        static_cast<double>(std::max<std::int64_t>(0, now.count() - run.started_ms)) / 1000.0;
  }
  if (evidence.exit_code >= 0) entry["exit_code"] = evidence.exit_code;
  if (evidence.signal > 0) {
    const char* name = ::sigabbrev_np(evidence.signal);
    entry["signal"] = name != nullptr ? "SIG" + std::string(name) : std::to_string(evidence.signal);
  }
  if (evidence.peak_rss_kib > 0) entry["peak_rss_kib"] = evidence.peak_rss_kib;
  if (run.slot >= 0) entry["slot"] = run.slot;
  entry["host"] = host();
  if (!outcome.error.empty()) entry["error"] = without_nul(outcome.error);
  // Most errors already end with the handler's stderr.
  const std::string& tail = evidence.stderr_tail;
  if (!tail.empty() && !outcome.error.ends_with(tail)) entry["stderr"] = without_nul(tail);
  return entry.dump(-1, ' ', true, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace pgforeman
