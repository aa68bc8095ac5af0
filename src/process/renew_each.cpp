#include "process/renew_each.h"

#include <optional>

#include "process/in_halves.h"

namespace pgforeman {

Renewed renew_each(Queue& queue, std::span<const Lease> leases, Millis lease) {
  Renewed renewed;
  bool any = false;
  std::optional<DatabaseError> error;
  const auto renew = [&](const Part& part) {
    const auto some = leases.subspan(part.first, part.count);
    try {
      for (const auto id : queue.renew(some, lease)) renewed.lost.push_back(id);
      return any = true;
    } catch (const DatabaseError& caught) {
      if (caught.is_of_session()) throw;
      error = caught;
    }
    if (part.count == 1) renewed.refused.push_back(some.front().id);
    return false;
  };
  if (renew({0, leases.size()})) return renewed;
  for (const Part& part : in_halves(leases.size(), renew)) {
    for (const Lease& each : leases.subspan(part.first, part.count)) {
      renewed.not_tried.push_back(each.id);
    }
  }
  if (!any) throw *error;
  renewed.reason = error->what();
  return renewed;
}

bool can_be_renewed(Queue& queue, const Lease& lease, Millis time) {
  try {
    return queue.renew({&lease, 1}, time).empty();
  } catch (const DatabaseError&) {
    return false;
  }
}

}  // namespace pgforeman
