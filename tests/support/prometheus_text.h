#pragma once
// A strict reader of the Prometheus text format 0.0.4: whatever a scraper might refuse is an error.

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

/// Families by name. Throws std::runtime_error naming the line and what is wrong with it. Beyond
/// the grammar it wants: HELP and TYPE before the samples, once; each family in one piece; no
/// series twice; valid UTF-8; finite values; counters named _total and not negative; histograms
/// whose buckets grow, end with +Inf and agree with _count.
std::map<std::string, Family> parse_prometheus(std::string_view text);

/// What is wrong with `text`; "" when nothing is.
std::string prometheus_problem(const std::string& text);

/// The sample of a series as it is written, such as `a_total{cause="signal"}`; 0 when absent.
double sample(const std::string& text, const std::string& series);

/// The value of one series; throws when it is not there.
double value_of(const std::map<std::string, Family>& families, const std::string& name,
                const std::map<std::string, std::string>& labels = {});

}  // namespace pgforeman::test
