#pragma once
// The duty that keeps leases: one statement extends those of all living children, at a third of the
// visibility timeout. Not for a handler past its own deadline, nor for a child past its phase's:
// what hangs shall lose its messages. Consumers look after their own only when this one does not.
// Fork: after.

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
