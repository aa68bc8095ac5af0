#pragma once
// Watches a fleet's endpoint from a thread of its own while a test does something to the fleet:
// probes /livez and /readyz, scrapes /status and /metrics and checks each answer's form.

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
    std::vector<std::string> problems;  ///< anything that was no answer, or not of its form
    std::vector<double> latencies_ms;   ///< of every request, sorted
    std::vector<int> livez, readyz;     ///< statuses as they changed
    double worst_ms() const { return latencies_ms.empty() ? 0 : latencies_ms.back(); }
    double percentile_ms(double part) const;
    std::string text() const;
  };

  /// Probes every `every`; scrapes at each second one.
  explicit Watch(int port, std::chrono::milliseconds every = std::chrono::milliseconds(20));
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// So far; goes on.
  Report report() const;
  /// Ends before the fleet's stop signal, or a closed port would count as a problem.
  Report finish();
  /// Waits until so many scrapes were made.
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
