#pragma once
// Watches a fleet's endpoint from its own thread while a test disturbs the fleet: probes /livez and
// /readyz, scrapes /status and /metrics, and checks the format of each answer.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace pgforeman::test {

class Watch {
 public:
  struct Report {
    std::size_t probes = 0, scrapes = 0;
    std::vector<std::string> problems;  ///< missing or malformed answers
    std::vector<double> latencies_ms;   ///< of all requests, sorted
    std::vector<int> livez, readyz;     ///< HTTP statuses, one entry per change
    double worst_ms() const { return latencies_ms.empty() ? 0 : latencies_ms.back(); }
    double percentile_ms(double part) const;
    std::string text() const;
  };

  /// Probes at intervals of `every`, and scrapes at each second probe.
  explicit Watch(int port, std::chrono::milliseconds every = std::chrono::milliseconds(20));
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Returns the report so far, and continues.
  Report report() const;
  /// Stops the watch. Call before the fleet's stop signal: a closed port counts as a problem.
  Report finish();
  /// Waits until `count` scrapes were made.
  bool wait_for_scrapes(std::size_t count) const;

 private:
  void run(std::chrono::milliseconds every);
  void probe(const std::string& target, std::vector<int>& statuses);
  void scrape(const std::string& target);

  int port_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  Report report_;
  std::thread thread_;
};

}  // namespace pgforeman::test
