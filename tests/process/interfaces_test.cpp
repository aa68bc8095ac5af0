// docs/interfaces.md beside what a running fleet answers.

#include "support/interfaces.h"

#include <nlohmann/json.hpp>

#include "process/bed.h"
#include "support/prometheus_text.h"

using namespace pgforeman::test;
using Json = nlohmann::json;

namespace {

/// Adds the path of each field below `json`.
void add_paths(const Json& json, const std::string& path, std::set<std::string>& paths) {
  if (json.is_array()) {
    for (const Json& element : json) add_paths(element, path + "[]", paths);
  }
  if (!json.is_object()) return;
  for (const auto& [name, value] : json.items()) {
    const std::string below = path.empty() ? name : path + "." + name;
    paths.insert(below);
    add_paths(value, below, paths);
  }
}

std::string described(const std::string& name, const Family& family) {
  std::set<std::string> labels;
  for (const Sample& sample : family.samples) {
    for (const auto& [label, value] : sample.labels) {
      if (label != "le") labels.insert(label);  // of each histogram
    }
  }
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : ", ") + label;
  return family.type + " " + name + (text.empty() ? "" : "{" + text + "}");
}

}  // namespace

TEST_CASE("/status and /metrics have just the fields and series that the docs list", "[endpoint]") {
  Bed bed;
  Fleet fleet(bed.settings({{"CONCURRENCY", "1"}, {"MAX_CRASHES", "100"}}));
  // A slot has all its fields once a child has ended there and the next one runs a message.
  REQUIRE(::kill(fleet.status().maintenance.pid, SIGKILL) == 0);
  bed.send(1, R"({"do": "hold"})");
  REQUIRE(bed.wait_for_runs(1));
  REQUIRE(::kill(fleet.status().slots.at(0).pid, SIGKILL) == 0);
  REQUIRE(bed.wait_for_runs(2));
  std::set<std::string> fields;
  REQUIRE(eventually([&] {
    const Json status = Json::parse(fleet.get("/status").body);
    add_paths(status, "", fields);
    return status["slots"][0]["message"].is_object() && status["queue_counts"]["ready"].is_number();
  }));
  // Maintenance runs no message.
  fields.insert({"maintenance.message.id", "maintenance.message.attempt"});
  CHECK(difference(listed(PGFOREMAN_DOCS "/interfaces.md", "Status"), fields) == "");
  std::set<std::string> series;
  for (const auto& [name, family] : parse_prometheus(fleet.metrics())) {
    series.insert(described(name, family));
  }
  CHECK(difference(listed(PGFOREMAN_DOCS "/interfaces.md", "Metrics"), series) == "");
}
