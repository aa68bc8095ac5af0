#pragma once
// Ends a handler's process group: the stop signal, and KILL when the grace is over. Fork: after.

#include <sys/types.h>

#include <boost/asio/io_context.hpp>

#include "handlers/one_shot_timer.h"

namespace pgforeman {

/// KILL to every process of `group`. Also right after its leader was reaped: the id is not given
/// out again while the group has members. Without members another process could be hit only if all
/// process ids were used up between the reaping and this call.
void kill_group(pid_t group);

class GroupEnder {
 public:
  explicit GroupEnder(boost::asio::io_context& io) : kill_timer_(io) {}

  /// `signal` to the group now, KILL after `grace`. Once more for the same group: the signal again,
  /// and KILL at the sooner of both times.
  void begin(pid_t group, int signal, Millis grace);

  /// KILL to the group after `grace`, without a signal: it was asked to end in another way.
  void kill_after(pid_t group, Millis grace);

  /// The leader is gone: sends nothing more.
  void cancel();

 private:
  OneShotTimer kill_timer_;
  bool begun_ = false;
};

}  // namespace pgforeman
