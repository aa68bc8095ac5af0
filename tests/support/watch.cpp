#include "support/watch.h"

#include <poll.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "support/fleet.h"
#include "support/postgres.h"
#include "support/prometheus_text.h"

namespace pgforeman::test {

Watch::Watch(int port, std::chrono::milliseconds every)
    : port_(port), thread_([this, every] { run(every); }) {}

Watch::~Watch() {
  finish();
}

void Watch::run(std::chrono::milliseconds every) {
  for (std::size_t round = 0; !stop_; ++round) {
    probe("/livez", report_.livez);
    probe("/readyz", report_.readyz);
    if (round % 2 == 0) {
      scrape("/status");
      scrape("/metrics");
      const std::lock_guard lock(mutex_);
      ++report_.scrapes;
    }
    ::poll(nullptr, 0, static_cast<int>(every.count()));
  }
}

void Watch::probe(const std::string& target, std::vector<int>& statuses) {
  const HttpReply reply = http_get(port_, target);
  const std::lock_guard lock(mutex_);
  if (stop_ && reply.status == 0) return;
  ++report_.probes;
  report_.latencies_ms.push_back(static_cast<double>(reply.took.count()) / 1000.0);
  if (reply.status != 200 && reply.status != 503) {
    report_.problems.push_back(target + ": " + reply.problem + std::to_string(reply.status));
  }
  if (statuses.empty() || statuses.back() != reply.status) statuses.push_back(reply.status);
}

void Watch::scrape(const std::string& target) {
  const HttpReply reply = http_get(port_, target);
  std::string problem = reply.problem;
  if (reply.status == 200 && target == "/status") {
    try {
      parse_status(reply.body);
    } catch (const std::exception& error) {
      problem = error.what();
    }
  } else if (reply.status == 200) {
    problem = prometheus_problem(reply.body);
  } else {
    problem += " status " + std::to_string(reply.status);
  }
  const std::lock_guard lock(mutex_);
  if (stop_ && reply.status == 0) return;
  report_.latencies_ms.push_back(static_cast<double>(reply.took.count()) / 1000.0);
  if (!problem.empty()) report_.problems.push_back(target + ": " + problem);
}

Watch::Report Watch::report() const {
  const std::lock_guard lock(mutex_);
  Report copy = report_;
  std::sort(copy.latencies_ms.begin(), copy.latencies_ms.end());
  return copy;
}

Watch::Report Watch::finish() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
  return report();
}

bool Watch::wait_for_scrapes(std::size_t count) const {
  return eventually([&] { return report().scrapes >= count; }, std::chrono::seconds(30));
}

double Watch::Report::percentile_ms(double part) const {
  if (latencies_ms.empty()) return 0;
  const auto last = static_cast<double>(latencies_ms.size() - 1);
  return latencies_ms[static_cast<std::size_t>(last * part)];
}

std::string Watch::Report::text() const {
  std::ostringstream out;
  out << probes << " probes, " << scrapes << " scrapes each of /status and /metrics, median "
      << percentile_ms(0.5) << " ms, p99 " << percentile_ms(0.99) << " ms, worst " << worst_ms()
      << " ms";
  const auto changes = [&](const char* what, const std::vector<int>& statuses) {
    out << "; " << what;
    for (std::size_t i = 0; i < statuses.size() && i < 10; ++i) out << ' ' << statuses[i];
    if (statuses.size() > 10) out << " ... (" << statuses.size() - 1 << " changes)";
  };
  changes("/livez", livez);
  changes("/readyz", readyz);
  for (const auto& problem : problems) out << "\n  " << problem;
  return out.str();
}

}  // namespace pgforeman::test
