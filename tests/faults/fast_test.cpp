// The short set: a run of each family of faults. The long one is tools/faults.
//
// PGFOREMAN_TEST_FAULT_SECONDS makes runs longer; PGFOREMAN_TEST_SEED repeats one.

#include <cstdio>
#include <cstdlib>
#include <random>

#include "faults/run.h"
#include "support/catch.h"

using namespace pgforeman::test;

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void balances(double seconds, const std::vector<std::string>& prefixes, bool pooled = false) {
  RunOptions options;
  options.seed = number_from("PGFOREMAN_TEST_SEED", std::random_device{}());
  options.seconds = static_cast<double>(
      number_from("PGFOREMAN_TEST_FAULT_SECONDS", static_cast<std::uint64_t>(seconds)));
  options.pooled = pooled;
  for (const Fault& fault : catalogue()) {
    for (const auto& prefix : prefixes) {
      if (fault.planned && fault.name.rfind(prefix, 0) == 0) options.faults.push_back(&fault);
    }
  }
  REQUIRE_FALSE(options.faults.empty());
  INFO("PGFOREMAN_TEST_SEED=" << options.seed
                              << " PGFOREMAN_TEST_FAULT_SECONDS=" << options.seconds);
  const Report report = play(options);
  std::printf("FIGURE P20 seed %llu: %s\n", static_cast<unsigned long long>(options.seed),
              report.text().c_str());
  INFO(report.text());
  CHECK(report.ok());
  // A run that hits or sends nothing proves nothing.
  CHECK(report.struck.size() + 1 >= options.faults.size());
  CHECK(report.verdict.done > 100);
}

}  // namespace

TEST_CASE("The books balance under faults of consumers, handlers and maintenance",
          "[fault_children]") {
  balances(20, {"consumer-", "handler-", "maintenance-", "limit-"});
}

TEST_CASE("The books balance under faults of whole fleets", "[fault_fleets]") {
  balances(20, {"supervisor-", "fleet-", "group-", "scoreboard-", "descriptors-"});
}

TEST_CASE("The books balance under faults of PostgreSQL", "[fault_server]") {
  balances(20, {"server-", "read-only", "connections-", "migrated-"});
}

TEST_CASE("The books balance under faults of sessions, rows and statements", "[fault_sessions]") {
  balances(20, {"backends-", "statements-", "serializable", "rows-", "table-", "snapshot-",
                "security-", "sequence-", "restored-"});
}

TEST_CASE(
    "The books balance under messages that the server refuses, strangers' locks, commits that "
    "hang and dead names",
    "[fault_messages]") {
  balances(20, {"payload-", "changes-", "dead-letters-", "advisory-", "commits-", "names-"});
}

TEST_CASE("The books balance under faults of the network", "[fault_network]") {
  balances(20, {"network-", "pooler-"}, true);
}
