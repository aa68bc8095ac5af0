#pragma once
// A strict reader of the Prometheus text format 0.0.4: all that a scraper may refuse is an error.

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pgforeman::test {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

struct Family {
  std::string type;
  std::string help;
  std::vector<Sample> samples;
};

/// Returns families by name. Throws std::runtime_error with the line and its error. Beyond the
/// grammar it demands: HELP and TYPE once, before the samples; each family in one piece; no series
/// twice; valid UTF-8; finite values; counters named _total and not negative; histogram buckets
/// that grow, end with +Inf and agree with _count.
std::map<std::string, Family> parse_prometheus(std::string_view text);

/// Returns the first error in `text`; "" if there is none.
std::string prometheus_problem(const std::string& text);

/// Returns the value of a series written like `a_total{cause="signal"}`; 0 if absent.
double sample(const std::string& text, const std::string& series);

/// Returns the value of one series; throws if it is absent.
double value_of(const std::map<std::string, Family>& families, const std::string& name,
                const std::map<std::string, std::string>& labels = {});

}  // namespace pgforeman::test
