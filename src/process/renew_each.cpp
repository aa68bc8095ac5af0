#include "process/renew_each.h"

#include <optional>

#include "system/clock.h"

namespace pgforeman {
namespace {

constexpr Millis kRenewPatience{500};

class Halving {
 public:
  Halving(Queue& queue, Millis lease) : queue_(queue), lease_(lease) {}

  Renewed renew_all(std::span<const Lease> leases) {
    renew(leases);
    if (!any_ && error_) throw *error_;
    if (error_) renewed_.reason = error_->what();
    return std::move(renewed_);
  }

 private:
  void renew(std::span<const Lease> leases) {
    try {
      for (const auto id : queue_.renew(leases, lease_)) renewed_.lost.push_back(id);
      any_ = true;
      return;
    } catch (const DatabaseError& error) {
      if (error.is_of_session()) throw;
      error_ = error;
    }
    if (leases.size() == 1) {
      renewed_.refused.push_back(leases.front().id);
    } else if (Clock::now() >= until_) {
      for (const Lease& each : leases) renewed_.not_tried.push_back(each.id);
    } else {
      renew(leases.first(leases.size() / 2));
      renew(leases.subspan(leases.size() / 2));
    }
  }

  Queue& queue_;
  Millis lease_;
  TimePoint until_ = Clock::now() + kRenewPatience;
  Renewed renewed_;
  bool any_ = false;
  std::optional<DatabaseError> error_;
};

}  // namespace

Renewed renew_each(Queue& queue, std::span<const Lease> leases, Millis lease) {
  return Halving(queue, lease).renew_all(leases);
}

}  // namespace pgforeman
