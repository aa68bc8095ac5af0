#pragma once
// Ends a handler's process group: the stop signal, and KILL when the grace is over. Fork: after.

#include <sys/types.h>

#include <boost/asio/io_context.hpp>

#include "handlers/one_shot_timer.h"

namespace pgforeman {

/// Sends KILL to every process of `group`, also right after its leader was reaped. The kernel does
/// not reuse the id while the group has members. If it has none, another process could be hit only
/// if all process ids were used up between the reaping and this call.
void kill_group(pid_t group);

class GroupEnder {
 public:
  explicit GroupEnder(boost::asio::io_context& io) : kill_timer_(io) {}

  /// Sends `signal` to the group now, and KILL after `grace`. A second call for the same group
  /// sends the signal again and keeps the earlier KILL time.
  void begin(pid_t group, int signal, Millis grace);

  /// Sends only KILL, after `grace`: for a group that was asked to end in another way.
  void kill_after(pid_t group, Millis grace);

  /// Cancels the pending KILL; call it when the leader was reaped.
  void cancel();

 private:
  OneShotTimer kill_timer_;
  bool begun_ = false;
};

}  // namespace pgforeman
