#pragma once
// The environment of a fault run: a PostgreSQL server, fleets that reach it through a network that
// can break, and the functions with which faults change them.

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "faults/books.h"
#include "faults/dice.h"
#include "support/fleet.h"
#include "support/pooler.h"
#include "support/postgres.h"
#include "support/proxy.h"
#include "support/watch.h"

namespace pgforeman::test {

/// A fleet, and the fleets that replace it when it ends.
struct Actor {
  enum class End { none, told, killed };

  std::string name;      ///< name of the current fleet in the ledger: "b3"
  bool steady = false;   ///< no fault hits its supervisor, so it can be watched all the time
  bool frozen = false;   ///< all its processes are stopped
  bool bare = false;     ///< its processes can open no descriptor
  End end = End::none;   ///< if not none: it ends and will be replaced
  std::size_t kind = 0;  ///< index of its settings
  int lives = 0;
  std::unique_ptr<Proxy> network;
  std::unique_ptr<Fleet> fleet;

  /// True if its endpoint should answer soon.
  bool answers() const { return !frozen && !bare && end == End::none; }
};

class Stage {
 public:
  /// Starts the server and the fleets, and waits until they are ready. `pooled`: one fleet is
  /// behind PgBouncer from the start. Throws std::runtime_error.
  explicit Stage(bool pooled);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  ThrowawayPostgres& server() { return server_; }
  Pooler& pooler() { return pooler_; }
  std::vector<Actor>& actors() { return actors_; }
  Actor& any(Dice& dice) { return actors_[dice.below(actors_.size())]; }
  /// Returns a fleet with a supervisor that may be hit; null if there is none at the moment.
  Actor* any_unsteady(Dice& dice);
  /// Returns a random slot of the fleet; nothing if its endpoint or the slot's process is missing.
  std::optional<SlotStatus> any_slot(const Actor& actor, Dice& dice) const;
  /// Returns the fleet's maintenance process; 0 if there is none or the endpoint does not answer.
  pid_t maintenance_of(const Actor& actor) const;
  /// Replaces a fleet that ends by a new one with other settings. Throws std::runtime_error if the
  /// old fleet has not ended yet.
  void replace(Actor& actor);

  /// Returns the stage's own session. Throws std::runtime_error while the server is away.
  Sql& sql();
  /// Opens a further session, directly to the server.
  std::unique_ptr<Sql> session() const;
  void set_server_away(bool away) { server_away_ = away; }
  bool server_away() const { return server_away_; }
  /// Lets handlers end with code 0 on SIGTERM. handlers_exit_0() includes runs begun like that.
  void let_handlers_exit_0(bool let);
  bool handlers_exit_0() const;
  /// While names are dead, looking one up ends when they live again, or fails after 20 s.
  void let_names_die(bool let);
  /// True while a dump waits to be restored.
  void set_restoring(bool restoring) { restoring_ = restoring; }
  bool restoring() const { return restoring_; }
  std::vector<Restore>& restores() { return restores_; }

  std::string ledger() const { return folder_.file("ledger"); }
  std::string database() const { return server_.conninfo("faults"); }
  /// Waits until the fleets have emptied the queue; false if they need longer than `limit`.
  bool wait_until_empty(std::chrono::milliseconds limit);
  /// Ends the fleets. Returns the problems found by check().
  std::vector<std::string> finish();
  /// Copies ledger and logs to `folder`.
  void keep_logs(const std::string& folder) const;

 private:
  void start(Actor& actor);
  std::optional<Status> ask(const Actor& actor) const;
  /// Records a problem for each thing that an ended fleet must not have done or logged.
  void check(const Actor& actor, std::optional<Ended> ended);

  TempFolder folder_;
  ThrowawayPostgres server_;
  Pooler pooler_;
  std::unique_ptr<Sql> sql_;
  bool server_away_ = false, restoring_ = false;
  std::vector<Restore> restores_;
  bool exit_0_ = false;
  std::chrono::steady_clock::time_point exit_0_until_{};
  std::vector<Actor> actors_;
  std::vector<std::string> problems_;
};

}  // namespace pgforeman::test
