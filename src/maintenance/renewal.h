#pragma once
// The duty that renews leases: one statement extends those of all living children, every third of
// the visibility timeout. A handler or child past its deadline is left out, so hung processes lose
// their leases. Consumers renew their own leases only when maintenance does not. Fork: after.

#include "maintenance/tools.h"

namespace pgforeman {

class Renewal {
 public:
  explicit Renewal(const MaintenanceTools& tools);

  /// Throws DatabaseError.
  void run_once();
  TimePoint next() const { return next_; }

 private:
  const MaintenanceTools& tools_;
  Millis lease_;
  TimePoint next_;
};

}  // namespace pgforeman
