#include "faults/database_faults.h"

#include <list>

#include "faults/restore.h"
#include "faults/stage.h"
#include "support/sqlstates.h"

namespace pgforeman::test {
namespace {

using Struck = std::optional<Fault::Struck>;

Fault::Struck everybody(std::function<void()> undo = nullptr) {
  return {"", std::move(undo)};
}

/// Away until it is undone. No other server fault meanwhile.
Struck away(Stage& stage, void (ThrowawayPostgres::*end)()) {
  if (stage.server_away()) return std::nullopt;
  stage.set_server_away(true);
  const auto back = [&stage] {
    stage.server().start();
    stage.set_server_away(false);
  };
  try {
    (stage.server().*end)();
  } catch (const std::runtime_error&) {
    back();
    throw;
  }
  return everybody(back);
}

/// A setting of the whole server, until it is undone; its undoing waits until the server is there.
Struck setting(Stage& stage, const std::string& name, const std::string& value) {
  const auto set = [&stage](const std::string& what) {
    stage.sql().query("alter system " + what);
    stage.sql().query("select pg_reload_conf()");
  };
  set("set " + name + " = '" + value + "'");
  return everybody([set, name] { set("reset " + name); });
}

/// What a session does stays done until it ends.
Struck holding(Stage& stage, const std::string& statement) {
  std::shared_ptr<Sql> session = stage.session();
  session->query("begin");
  session->query(statement);
  return everybody([session]() mutable { session.reset(); });
}

std::string some_of_ours(const char* what) {
  return std::string("select count(") + what +
         "(pid)) from pg_stat_activity where application_name like 'pgforeman%' and random() < 0.4";
}

/// A fleet's network, changed by `change(proxy, true)` and back by `change(proxy, false)`.
template <typename Change>
Struck network(Stage& stage, Dice& dice, Change change) {
  Actor& actor = stage.any(dice);
  if (actor.end != Actor::End::none) return std::nullopt;
  change(*actor.network, true);
  return Fault::Struck{actor.name, [&actor, change, name = actor.name] {
                         if (actor.name == name) change(*actor.network, false);
                       }};
}

}  // namespace

Struck stop_server(Stage& stage, Dice&) {
  return away(stage, &ThrowawayPostgres::stop_fast);
}
Struck stop_server_immediately(Stage& stage, Dice&) {
  return away(stage, &ThrowawayPostgres::stop_immediately);
}
Struck kill_server(Stage& stage, Dice&) {
  return away(stage, &ThrowawayPostgres::kill9);
}

Struck pause_server(Stage& stage, Dice&) {
  if (stage.server_away()) return std::nullopt;
  stage.set_server_away(true);
  stage.server().pause();
  return everybody([&stage] {
    stage.server().resume();
    stage.set_server_away(false);
  });
}

Struck end_sessions(Stage& stage, Dice&) {
  stage.sql().query(some_of_ours("pg_terminate_backend"));
  return everybody();
}

Struck cancel_statements(Stage& stage, Dice&) {
  stage.sql().query(some_of_ours("pg_cancel_backend"));
  return everybody();
}

Struck take_connections(Stage& stage, Dice& dice) {
  if (stage.server_away()) return std::nullopt;
  auto taken = std::make_shared<std::list<std::unique_ptr<Sql>>>();
  try {
    for (;;) taken->push_back(stage.session());
  } catch (const std::runtime_error&) {
    // None is left.
  }
  // A process that loses its session now gets no other one.
  if (!taken->empty()) taken->front()->query(some_of_ours("pg_terminate_backend"));
  for (std::size_t more = dice.below(20); more > 0; --more) {
    try {
      taken->push_back(stage.session());
    } catch (const std::runtime_error&) {
      break;
    }
  }
  return everybody([taken] { taken->clear(); });
}

Struck read_only(Stage& stage, Dice&) {
  return setting(stage, "default_transaction_read_only", "on");
}

Struck serializable(Stage& stage, Dice&) {
  return setting(stage, "default_transaction_isolation", "serializable");
}

Struck lock_rows(Stage& stage, Dice& dice) {
  std::shared_ptr<Sql> session = stage.session();
  session->query("begin");
  Struck struck = everybody([session]() mutable { session.reset(); });
  for (const auto& row :
       session->rows("select payload->>'n' from pgforeman.message order by random() limit " +
                     std::to_string(1 + dice.below(10)) + " for update skip locked")) {
    struck->ids.insert(std::stoll(row[0]));
  }
  if (struck->ids.empty()) return std::nullopt;
  return struck;
}

/// A message whose payload the server can no longer read, as after a lost write.
Struck damage_payload(Stage& stage, Dice& dice) {
  Sql& sql = stage.sql();
  sql.query("create extension if not exists pg_surgery");
  const std::string pages = sql.query(
      "select reltoastrelid::regclass from pg_class where oid = 'pgforeman.message'::regclass");
  const std::string number = std::to_string(1 + dice.below(1'000'000'000));
  sql.query(
      "begin;"
      "insert into public.damaged select pgforeman.send('q', jsonb_build_object('n', -" +
      number +
      ", 'pad', (select string_agg(md5(random()::text), '') from generate_series(1, 500)))), -" +
      number +
      ";"
      "select heap_force_kill('" +
      pages + "', array(select ctid from " + pages +
      " where xmin = pg_current_xact_id()::xid));"
      "commit");
  return everybody();
}

/// Every eighth message, with any error.
Struck refuse_changes(Stage& stage, Dice& dice) {
  const auto& states = sqlstates();
  stage.sql().query(
      "create or replace function public.refuse() returns trigger language plpgsql as $$ begin"
      " if public.number_of(old.id, old.payload) % 8 = " +
      std::to_string(dice.below(8)) + " then raise exception using errcode = '" +
      states[dice.below(states.size())] +
      "', message = 'not this one'; end if;"
      " return case tg_op when 'DELETE' then old else new end; end $$;"
      "drop trigger if exists refuse on pgforeman.message;"
      "create trigger refuse before update or delete on pgforeman.message"
      " for each row execute function public.refuse()");
  return everybody(
      [&stage] { stage.sql().query("drop trigger if exists refuse on pgforeman.message"); });
}

Struck lock_table(Stage& stage, Dice&) {
  return holding(stage, "lock table pgforeman.message in access exclusive mode");
}

Struck lock_dead_letters(Stage& stage, Dice&) {
  return holding(stage, "lock table pgforeman.dead_message in access exclusive mode");
}

/// Whatever their keys: those of the sessions that hold some now, which end.
Struck take_advisory_locks(Stage& stage, Dice&) {
  std::shared_ptr<Sql> session = stage.session();
  const auto signed_key = [](const std::string& key) {
    return std::to_string(static_cast<std::int32_t>(std::stoul(key)));
  };
  const auto locks = session->rows(
      "select classid, objid, objsubid, pid from pg_locks where locktype = 'advisory' and granted"
      " and database = (select oid from pg_database where datname = current_database())");
  if (locks.empty()) return std::nullopt;
  for (const auto& lock : locks) {
    session->query("select pg_terminate_backend(" + lock[3] + ")");
    const std::string high = signed_key(lock[0]), low = signed_key(lock[1]);
    session->query("select pg_advisory_lock(" +
                   (lock[2] == "2"
                        ? high + ", " + low
                        : "(" + high + "::bigint << 32) | (" + low + "::bigint & 4294967295)") +
                   ")");
  }
  return everybody([session]() mutable { session.reset(); });
}

Struck hang_commits(Stage& stage, Dice&) {
  return setting(stage, "synchronous_standby_names", "nobody");
}

Struck hold_snapshot(Stage& stage, Dice&) {
  return holding(stage,
                 "set transaction isolation level repeatable read;"
                 " select count(*) from (select from pgforeman.message limit 1) m");
}

Struck migrate_again(Stage& stage, Dice&) {
  if (stage.server_away()) return std::nullopt;
  const CommandResult result = run_command({"migrate"}, {{"DATABASE_URL", stage.database()}});
  if (result.code != 0) return std::nullopt;
  return everybody();
}

Struck hide_rows(Stage& stage, Dice&) {
  const auto security = [&stage](const std::string& what) {
    for (const char* table : {"message", "dead_message"}) {
      stage.sql().query(std::string("alter table pgforeman.") + table + " " + what +
                        " row level security");
    }
  };
  security("enable");
  return everybody([security] { security("disable"); });
}

/// As a failover leaves it to a standby that lagged, or a switch to a logical replica: ids are
/// reused, that of a dead letter first, and what gets it dies too.
Struck set_ids_back(Stage& stage, Dice& dice) {
  Sql& sql = stage.sql();
  sql.query(
      "select setval(s, coalesce("
      "  (select id from pgforeman.dead_message order by random() limit 1),"
      "  greatest(1, nextval(s) - " +
      std::to_string(10 + dice.below(500)) +
      ")), false) from pg_get_serial_sequence('pgforeman.message', 'id') s");
  // Of its own, so that no sender's number is reused.
  const std::string number = std::to_string(1 + dice.below(1'000'000'000));
  sql.query(R"(select pgforeman.send('q', '{"n": -)" + number + R"(, "do": "poison"}'))");
  return everybody();
}

Struck restore_dump(Stage& stage, Dice&) {
  if (stage.server_away() || stage.restoring()) return std::nullopt;
  auto backup = std::make_shared<Backup>(stage.server(), "faults");
  stage.set_restoring(true);
  return everybody([&stage, backup] {
    if (stage.server_away()) throw std::runtime_error("the server is away");
    stage.restores().push_back(backup->restore());
    stage.set_restoring(false);
  });
}

Struck silence_network(Stage& stage, Dice& dice) {
  return network(stage, dice, [](Proxy& proxy, bool on) { proxy.silence(on); });
}

Struck slow_network(Stage& stage, Dice& dice) {
  const std::chrono::milliseconds time(5 + dice.below(100));
  return network(stage, dice, [time](Proxy& proxy, bool on) { proxy.delay(on ? time : 0ms); });
}

Struck reset_network(Stage& stage, Dice& dice) {
  Actor& actor = stage.any(dice);
  actor.network->reset();
  return Fault::Struck{actor.name, nullptr};
}

/// Some sessions end, so that there is something to resolve.
Struck kill_names(Stage& stage, Dice&) {
  stage.sql().query(some_of_ours("pg_terminate_backend"));
  stage.let_names_die(true);
  return everybody([&stage] { stage.let_names_die(false); });
}

Struck restart_pooler(Stage& stage, Dice&) {
  if (stage.server_away()) return std::nullopt;
  stage.pooler().restart();
  return everybody();
}

}  // namespace pgforeman::test
