#pragma once
// A strict reader of the Prometheus text format: what is wrong with `text`, or "" when nothing is.
// Checks names, labels and their escapes, values, that every sample has its TYPE before it, that
// families are not interleaved and no series appears twice, and that histograms add up.

#include <map>
#include <string>

namespace pgforeman::test {

std::string prometheus_problem(const std::string& text);

/// The sample of a series as it is written, such as `a_total{cause="signal"}`; 0 when absent.
double sample(const std::string& text, const std::string& series);

}  // namespace pgforeman::test
