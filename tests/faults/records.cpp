#include "faults/records.h"

#include <ctime>
#include <sstream>

namespace pgforeman::test {
namespace {

constexpr const char* kKept =
    "create table gone (n bigint, claims bigint, history jsonb, poison boolean, crashes int,"
    "                   at timestamptz not null default clock_timestamp());"
    "create table damaged (id bigint, n bigint);"
    // Passed on unread, a damaged payload costs nothing.
    "create function number_of(id bigint, payload json) returns bigint"
    " language plpgsql security definer as $$ begin"
    " return coalesce((payload->>'n')::bigint,"
    "                 (select d.n from public.damaged d where d.id = number_of.id limit 1));"
    " exception when data_corrupted then"
    " return (select d.n from public.damaged d where d.id = number_of.id limit 1); end $$;"
    "create function poison(payload json) returns boolean language plpgsql as $$ begin"
    " return payload->>'do' = 'poison'; exception when data_corrupted then return true; end $$;"
    "create function gone() returns trigger language plpgsql security definer as $$ begin"
    " insert into public.gone (n, claims, history, poison, crashes) values"
    " (public.number_of(old.id, old.payload), old.claims, old.history,"
    "  public.poison(old.payload), old.crashes);"
    " return old; end $$;"
    "create trigger gone before delete on pgforeman.message for each row execute function gone()";

/// "1 signal SIGSEGV,2 timeout -,"
std::vector<MessageEnd::Vain> history_of(const std::string& text) {
  std::vector<MessageEnd::Vain> all;
  std::istringstream runs(text);
  for (std::string run; std::getline(runs, run, ',');) {
    MessageEnd::Vain vain;
    std::istringstream(run) >> vain.fence >> vain.cause >> vain.signal;
    all.push_back(vain);
  }
  return all;
}

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

void keep_records(Sql& sql) {
  sql.query(kKept);
}

std::vector<MessageEnd> message_ends(Sql& sql) {
  const double to_monotonic = seconds_of(CLOCK_MONOTONIC) - seconds_of(CLOCK_REALTIME);
  std::vector<MessageEnd> all;
  sql.query("set statement_timeout = '60s'");
  const auto rows = sql.rows(
      // By itself, as a join would call the function for each pair of rows.
      "with letter as materialized"
      " (select public.number_of(id, payload) as n, reason, history from pgforeman.dead_message)"
      " select g.n, g.claims, g.poison, extract(epoch from g.at), coalesce(d.reason, ''),"
      " (select coalesce(string_agg((h->>'fence') || ' ' || (h->>'cause') || ' '"
      "                             || coalesce(h->>'signal', '-'), ',' order by place), '')"
      "  from jsonb_array_elements(coalesce(d.history, g.history)) with ordinality e (h, place)),"
      " g.crashes"
      " from public.gone g"
      " left join letter d on d.n = g.n"
      " union all select public.number_of(m.id, m.payload), m.claims, public.poison(m.payload), 0,"
      " 'left', '', m.crashes"
      " from pgforeman.message m");
  for (const auto& row : rows) {
    MessageEnd end;
    end.id = std::stoll(row[0]);
    end.claims = std::stoll(row[1]);
    end.poison = row[2] == "t";
    end.reason = row[4];
    end.where = row[4].empty()     ? MessageEnd::Where::done
                : row[4] == "left" ? MessageEnd::Where::left
                                   : MessageEnd::Where::dead;
    if (end.where != MessageEnd::Where::left) end.at = std::stod(row[3]) + to_monotonic;
    end.history = history_of(row[5]);
    end.crashes = std::stoi(row[6]);
    all.push_back(end);
  }
  return all;
}

}  // namespace pgforeman::test
