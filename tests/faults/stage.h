#pragma once
// What a fault run plays on: a PostgreSQL server, fleets that reach it through a network that can
// break, and what the catalogue's faults need to do to them.

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

/// A fleet, and what follows it when it ends.
struct Actor {
  enum class End { none, told, killed };

  std::string name;      ///< of this life, as the ledger has it: "b3"
  bool steady = false;   ///< its supervisor is never hit, so that it can be watched all the while
  bool frozen = false;   ///< stopped as a whole
  bool bare = false;     ///< without a descriptor
  End end = End::none;   ///< another one is to follow
  std::size_t kind = 0;  ///< which settings
  int lives = 0;
  std::unique_ptr<Proxy> network;
  std::unique_ptr<Fleet> fleet;

  /// Its endpoint may be asked, and answers soon.
  bool answers() const { return !frozen && !bare && end == End::none; }
};

class Stage {
 public:
  /// Starts everything; the fleets are ready when it returns. `pooled`: one of them is behind
  /// PgBouncer from the start. Throws std::runtime_error.
  explicit Stage(bool pooled);
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  ThrowawayPostgres& server() { return server_; }
  Pooler& pooler() { return pooler_; }
  std::vector<Actor>& actors() { return actors_; }
  Actor& any(Dice& dice) { return actors_[dice.below(actors_.size())]; }
  /// One whose supervisor may be hit; null when there is none at the moment.
  Actor* any_unsteady(Dice& dice);
  /// One of its slots with a process; nothing when it cannot be asked, or has none.
  std::optional<SlotStatus> any_slot(const Actor& actor, Dice& dice) const;
  /// Its maintenance process; 0 when it cannot be asked, or has none.
  pid_t maintenance_of(const Actor& actor) const;
  /// A new fleet in the place of one that ends, of another kind. Throws std::runtime_error while it
  /// has not ended.
  void replace(Actor& actor);

  /// A session that no fault is meant for. Throws std::runtime_error while the server is away.
  Sql& sql();
  /// A further one, straight to the server.
  std::unique_ptr<Sql> session() const;
  void set_server_away(bool away) { server_away_ = away; }
  bool server_away() const { return server_away_; }
  /// Whether handlers end with code 0 on SIGTERM, those included that began when they did.
  void let_handlers_exit_0(bool let);
  bool handlers_exit_0() const;
  /// A dump was made that is to be restored.
  void set_restoring(bool restoring) { restoring_ = restoring; }
  bool restoring() const { return restoring_; }
  std::vector<Restore>& restores() { return restores_; }

  std::string ledger() const { return folder_.file("ledger"); }
  std::string database() const { return server_.conninfo("faults"); }
  /// Waits until the fleets have worked off the queue.
  bool wait_until_empty(std::chrono::milliseconds limit);
  /// Ends the fleets; then what they said that they must not say.
  std::vector<std::string> finish();
  /// Copies ledger and logs there, to be read later.
  void keep_logs(const std::string& folder) const;

 private:
  void start(Actor& actor);
  std::optional<Status> ask(const Actor& actor) const;
  /// What it must not have done or said.
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
