#include "support/refusal.h"

namespace pgforeman::test {
namespace {

/// On table `message`, but for what has a trigger or a function of its own.
std::string condition(RefusedCall what) {
  switch (what) {
    case RefusedCall::claim:
      return "tg_op = 'UPDATE' and new.claims > old.claims";
    case RefusedCall::settle:
      return "tg_op = 'DELETE' or new.attempt > old.attempt or new.crashes > old.crashes";
    case RefusedCall::promote:
      return "tg_op = 'UPDATE' and old.state = 1 and new.state = 0";
    case RefusedCall::sweep:
      return "tg_op = 'UPDATE' and old.state = 0 and new.place <> old.place";
    case RefusedCall::renew:
      return "tg_op = 'UPDATE' and new.token = old.token and new.claims = old.claims"
             " and new.visible_at > old.visible_at";
    case RefusedCall::bury:
    case RefusedCall::count:
      break;
  }
  return "true";
}

const std::string kRaise =
    "raise exception using errcode = stuck, message = 'not this one, ' || stuck;";

void refuse_counts(Sql& sql) {
  const std::string real = sql.query("select pg_get_functiondef('pgforeman.counts'::regproc)");
  const auto head = real.substr(0, real.find("LANGUAGE"));
  sql.query("alter function pgforeman.counts rename to counts_of_old");
  sql.query(head +
            " language plpgsql as $$ declare stuck text := (select m.payload->>'stuck'"
            " from pgforeman.message m where m.payload->>'stuck' is not null limit 1);"
            " begin if stuck is not null then " +
            kRaise +
            " end if; return query select * from pgforeman.counts_of_old($1, $2, $3, $4);"
            " end $$");
}

}  // namespace

const char* to_string(RefusedCall what) {
  constexpr const char* kNames[] = {"claim", "settle", "bury", "promote",
                                    "sweep", "renew",  "count"};
  return kNames[static_cast<std::size_t>(what)];
}

void refuse(Sql& sql, RefusedCall what) {
  if (what == RefusedCall::count) return refuse_counts(sql);
  const bool bury = what == RefusedCall::bury;
  sql.query(std::string("create function public.refuse() returns trigger language plpgsql as $$") +
            " declare stuck text := " + (bury ? "new" : "old") + ".payload->>'stuck';" +
            " begin if stuck is not null and (" + condition(what) + ") then " + kRaise +
            " end if; return case tg_op when 'DELETE' then old else new end; end $$;" +
            " create trigger refuse before " +
            (bury ? "insert on pgforeman.dead_message" : "update or delete on pgforeman.message") +
            " for each row execute function public.refuse()");
}

}  // namespace pgforeman::test
