#pragma once
// The duty that renews leases: one statement extends those of all living children, every third of
// the visibility timeout. A handler or child past its deadline is left out, so hung processes lose
// their leases. Consumers renew their own leases only when maintenance does not. Fork: after.

#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "fleet/claimed_message.h"
#include "maintenance/tools.h"

namespace pgforeman {

class Renewal {
 public:
  explicit Renewal(const MaintenanceTools& tools);

  /// Throws DatabaseError.
  void run_once();
  TimePoint next() const { return next_; }

 private:
  std::vector<std::int64_t> renew_each(std::span<const Lease> leases, TimePoint until);

  const MaintenanceTools& tools_;
  // Leases that the last run could not renew, and why.
  std::unordered_set<std::int64_t> failed_;
  std::string failure_;
  Millis lease_;
  TimePoint next_;
};

}  // namespace pgforeman
