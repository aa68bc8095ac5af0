#pragma once
// The duty that keeps leases: one statement extends those of all living children, at a third of the
// visibility timeout. Not for a handler or child past its deadline, so hung processes lose their
// leases. Consumers renew their own leases only when maintenance does not. Fork: after.

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
