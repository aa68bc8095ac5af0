#include "queue/queue.h"

#include <algorithm>
#include <pqxx/result>
#include <thread>

#include "queue/connection_impl.h"
#include "queue/error_kind.h"
#include "queue/history.h"
#include "queue/migrate.h"
#include "queue/rows.h"
#include "queue/schema_owner.h"
#include "queue/sql_text.h"

namespace pgforeman {

namespace {

using Kind = DatabaseError::Kind;
using Ids = std::vector<std::int64_t>;

constexpr const char* kChannel = "pgforeman";

/// Rounds of a renewal: rows that were locked are tried again after 1, 2, 4 and 8 ms.
constexpr int kRenewRounds = 5;

/// SQL names, in the order of Outcome::Kind.
constexpr const char* kOutcomes[] = {"done",    "retry", "crash", "dead", "max_claims_exceeded",
                                     "released"};
static_assert(std::size(kOutcomes) == Outcome::kKinds);

Settled settled_of(std::string_view name) {
  for (const Settled each : {Settled::done, Settled::retried, Settled::dead, Settled::released,
                             Settled::lost_lease, Settled::locked}) {
    if (name == to_string(each)) return each;
  }
  throw DatabaseError(Kind::schema, "pgforeman.settle returned an unknown word");
}

/// Asks if the session can write and has the rights that a fleet needs: on the tables, and on the
/// functions that it calls and those that they call.
constexpr const char* kRights =
    "select not pg_catalog.pg_is_in_recovery()"
    " and pg_catalog.current_setting('transaction_read_only') operator(pg_catalog.=) 'off'::text"
    " and (select pg_catalog.bool_and(pg_catalog.has_table_privilege("
    "  t.name::pg_catalog.regclass, r.name))"
    "  from (values ('pgforeman.message'), ('pgforeman.dead_message')) t (name),"
    "  (values ('select'), ('insert'), ('update'), ('delete')) r (name))"
    " and pg_catalog.has_sequence_privilege('pgforeman.message_id_seq', 'usage')"
    " and not exists ("
    "  select from pg_catalog.unnest('{announce,become_listener,claim,claim_each,counts,"
    "end_done,first_due,from_us,ids_are_behind,leave_listeners,lock_claimable,"
    "lock_readable,make_ready,next_place,open_writers,payload_of,peek,refuse_silence,release_token,"
    "renew,retry_delay,"
    "save_marks,saved_marks,settle,sweep,tick,to_us,with_run}'::pg_catalog.name[]) f (name)"
    "  where not exists ("
    "   select from pg_catalog.pg_proc p"
    "   where p.pronamespace operator(pg_catalog.=) 'pgforeman'::pg_catalog.regnamespace::oid"
    "   and p.proname operator(pg_catalog.=) f.name"
    "   and pg_catalog.has_function_privilege(p.oid, 'execute')))";

std::string text_of(Token token) {
  return std::to_string(static_cast<std::int64_t>(token));
}

}  // namespace

void Queue::check_schema() {
  const InstalledSchema installed = installed_schema(connection_);
  if (const std::string mismatch = schema_mismatch(installed); !mismatch.empty()) {
    throw DatabaseError(Kind::schema, mismatch);
  }
  check_owner_for_superuser(connection_);
  // Refuses a policy that hides rows: the queue would look empty.
  const pqxx::result hidden = connection_.impl().call("select pgforeman.row_security_problem()");
  if (!hidden[0][0].is_null()) throw DatabaseError(Kind::permission, hidden[0][0].c_str());
}

pqxx::result Queue::call(const std::string& sql, const SqlParams& params) {
  try {
    return connection_.impl().call(sql, params);
  } catch (const DatabaseError& error) {
    const Kind kind = error.kind();
    if (kind != Kind::schema && kind != Kind::permission && kind != Kind::read_only) throw;
    if (!schema_and_rights_stand()) throw;
    throw DatabaseError(Kind::rejected, error.server_text());
  }
}

bool Queue::schema_and_rights_stand() {
  try {
    check_schema();
    return connection_.impl().call(kRights)[0][0].as<bool>();
  } catch (const DatabaseError& error) {
    if (error.kind() == Kind::connection) throw;
    return false;
  }
}

std::vector<ClaimedMessage> Queue::claim(int limit, const Claim& claim, Millis lease,
                                         std::span<const std::int64_t> done, Token done_token) {
  const RangesText ranges(ranges_above(claim.marks));
  auto messages = messages_of(
      call("select " + kClaimedColumns +
               " from pgforeman.claim($1, $2::int, $3::bigint, $4::interval, $5::bigint[],"
               " $6::bigint, $7::bigint[], $8::bigint[])",
           {name_, std::to_string(limit), text_of(claim.token), interval_text(lease),
            array_text(done), text_of(done_token), ranges.above, ranges.upto}));
  for (ClaimedMessage& message : messages) message.token = claim.token;
  return messages;
}

Queue::ClaimedEach Queue::claim_each(int limit, const Claim& claim, Millis lease) {
  const RangesText ranges(ranges_above(claim.marks));
  const pqxx::result rows =
      call("select " + kMessageColumns +
               ", refusal, state"
               " from pgforeman.claim_each($1, $2::int, $3::bigint, $4::interval, $5::bigint[],"
               " $6::bigint[])",
           {name_, std::to_string(limit), text_of(claim.token), interval_text(lease), ranges.above,
            ranges.upto});
  ClaimedEach claimed;
  for (const auto& row : rows) {
    ClaimedMessage message = message_of(row);
    if (!row[kMessageColumnCount].is_null()) {
      claimed.refused.push_back({message.id, message.place, row[kMessageColumnCount].c_str()});
      claimed.blamed = claimed.blamed || is_of_row(row[kMessageColumnCount + 1].c_str());
      continue;
    }
    message.token = claim.token;
    message.has_payload = false;
    claimed.messages.push_back(std::move(message));
  }
  claimed.blamed = claimed.blamed || !claimed.messages.empty();
  return claimed;
}

std::optional<std::pair<std::string, std::string>> Queue::payload_of(const Lease& lease) {
  const pqxx::result rows =
      call("select payload, headers from pgforeman.payload_of($1::bigint, $2::bigint)",
           {std::to_string(lease.id), text_of(lease.token)});
  if (rows.empty()) return std::nullopt;
  return std::pair{std::string(rows[0][0].c_str(), rows[0][0].size()),
                   std::string(rows[0][1].c_str(), rows[0][1].size())};
}

std::vector<Settled> Queue::settle(std::span<const Settlement> settlements, const RetryRule& rule,
                                   RowLocks locks) {
  if (settlements.empty()) return {};
  try {
    return settle_as_given(settlements, rule, locks);
  } catch (const DatabaseError& error) {
    if (error.kind() != Kind::rejected) throw;
  }
  // Only the texts of errors come from outside. A database that is not in UTF8 may be unable to
  // hold them, but the message must not stay unsettled.
  std::vector<Settlement> plain(settlements.begin(), settlements.end());
  for (auto& settlement : plain) {
    settlement.outcome.error = ascii(settlement.outcome.error);
    settlement.outcome.evidence.stderr_tail = ascii(settlement.outcome.evidence.stderr_tail);
  }
  return settle_as_given(plain, rule, locks);
}

std::vector<Settled> Queue::settle_as_given(std::span<const Settlement> settlements,
                                            const RetryRule& rule, RowLocks locks) {
  std::vector<Settled> settled;
  Ids ids, tokens;
  std::vector<std::string> outcomes;
  std::vector<std::optional<std::string>> delays, errors, evidence;
  for (const auto& settlement : settlements) {
    const auto& [lease, outcome, run] = settlement;
    ids.push_back(lease.id);
    tokens.push_back(static_cast<std::int64_t>(lease.token));
    outcomes.emplace_back(kOutcomes[static_cast<std::size_t>(outcome.kind)]);
    delays.push_back(outcome.after ? std::optional(interval_text(*outcome.after)) : std::nullopt);
    errors.push_back(outcome.error.empty() ? std::nullopt
                                           : std::optional(without_nul(outcome.error)));
    evidence.push_back(history_entry(settlement));
  }
  const pqxx::result rows = call(
      "select settled from pgforeman.settle($1::bigint[], $2::bigint[], $3::text[],"
      " $4::interval[], $5::text[], $6::jsonb[], $7::int, $8::int, $9::interval, $10::interval,"
      " $11::boolean)",
      {array_text(ids), array_text(tokens), array_text(outcomes), array_text(delays),
       array_text(errors), array_text(evidence), std::to_string(rule.max_attempts),
       std::to_string(rule.max_crashes), interval_text(rule.backoff),
       interval_text(rule.backoff_max), locks == RowLocks::skip ? "true" : "false"});
  settled.reserve(settlements.size());
  for (const auto& row : rows) settled.push_back(settled_of(row[0].c_str()));
  return settled;
}

std::vector<std::int64_t> Queue::renew(std::span<const Lease> leases, Millis lease) {
  Ids lost;
  std::vector<Lease> left(leases.begin(), leases.end());
  for (int round = 0; round < kRenewRounds && !left.empty(); ++round) {
    if (round > 0) std::this_thread::sleep_for(Millis{1 << (round - 1)});
    Ids ids, tokens;
    for (const Lease& held : left) {
      ids.push_back(held.id);
      tokens.push_back(static_cast<std::int64_t>(held.token));
    }
    const pqxx::result rows =
        call("select renewal from pgforeman.renew($1::bigint[], $2::bigint[], $3::interval)",
             {array_text(ids), array_text(tokens), interval_text(lease)});
    std::vector<Lease> skipped;
    for (std::size_t i = 0; i < left.size(); ++i) {
      const std::string_view renewal = rows[static_cast<pqxx::result::size_type>(i)][0].c_str();
      if (renewal == "lost") lost.push_back(left[i].id);
      if (renewal == "skipped") skipped.push_back(left[i]);
    }
    left = std::move(skipped);
  }
  // Leases on rows that are still locked are not lost: the next renewal tries them again.
  return lost;
}

std::int64_t Queue::release_claim(const Claim& claim, const std::optional<Outcome>& crash,
                                  const RetryRule& rule) {
  const std::string error = crash ? ascii(crash->error) : "";
  const std::string evidence = crash ? history_entry({{}, *crash}).value_or("null") : "null";
  const RangesText lanes(lanes_above(claim.marks));
  return call(
             "select pgforeman.release_token($1, $2::bigint, nullif($3, ''), $4::jsonb, $5::int,"
             " $6::interval, $7::interval, $8::bigint[], $9::bigint[])",
             {name_, text_of(claim.token), error, evidence, std::to_string(rule.max_crashes),
              interval_text(rule.backoff), interval_text(rule.backoff_max), lanes.above,
              lanes.upto})[0][0]
      .as<std::int64_t>();
}

Tick Queue::tick(const std::optional<Marks>& passed, std::int64_t due_from_us, int most,
                 std::span<const std::int64_t> skipped) {
  const RangesText lanes(lanes_above(passed.value_or(Marks{})));
  const auto row = call(
      "select next_due_us, at_us, promoted, refused, states, refusal, ready, scheduled, running, "
      "dead,"
      " oldest_seconds, capped, behind from pgforeman.tick($1, $2::boolean, $3::int,"
      " $4::bigint[], $5::bigint[], $6::bigint, $7::bigint[])",
      {name_, passed ? "true" : "false", std::to_string(most), lanes.above, lanes.upto,
       std::to_string(due_from_us), array_text(skipped)})[0];
  Tick tick;
  tick.times = times_of(row);
  tick.promoted = row[2].as<std::int64_t>();
  tick.refused = refused_of(row, 3, tick.promoted > 0);
  if (passed) {
    tick.counts = counts_of(row, 6);
    tick.ids_behind = row[12].as<bool>();
  }
  return tick;
}

std::optional<std::int64_t> Queue::first_due(std::int64_t due_from_us,
                                             std::span<const std::int64_t> skipped) {
  const pqxx::result rows = call("select pgforeman.first_due($1, $2::bigint, $3::bigint[])",
                                 {name_, std::to_string(due_from_us), array_text(skipped)});
  if (rows.empty() || rows[0][0].is_null()) return std::nullopt;
  return rows[0][0].as<std::int64_t>();
}

Peek Queue::peek(const Marks& marks, int most, std::int64_t due_from_us,
                 std::span<const std::int64_t> skipped) {
  const RangesText lanes(lanes_above(marks));
  const auto row = call(
      "select next_due_us, at_us, ready from pgforeman.peek($1, $2::bigint[], $3::bigint[],"
      " $4::int, $5::bigint, $6::bigint[])",
      {name_, lanes.above, lanes.upto, std::to_string(most), std::to_string(due_from_us),
       array_text(skipped)})[0];
  return {row[2].as<std::int64_t>(), times_of(row)};
}

Marks Queue::saved_marks() {
  const auto row = call("select pgforeman.saved_marks($1)", {name_})[0];
  Marks marks{};
  if (row[0].is_null()) return marks;
  const Ids saved = numbers_of(row[0].c_str());
  std::copy_n(saved.begin(), std::min(saved.size(), marks.size()), marks.begin());
  return marks;
}

void Queue::save_marks(const Marks& marks) {
  call("select pgforeman.save_marks($1, $2::bigint[])",
       {name_, array_text(Ids(marks.begin(), marks.end()))});
}

OpenWriters Queue::open_writers(const std::optional<Marks>& marks) {
  Ids passed;
  for (std::size_t lane = 0; marks && lane < kLanes; ++lane) {
    passed.push_back(place_of(lane, (*marks)[lane]));
  }
  const auto row =
      call("select highest, at_us, open, first from pgforeman.open_writers($1, $2::bigint[])",
           {name_, array_text(passed)})[0];
  OpenWriters writers{
      row[0].as<std::int64_t>(), row[1].as<std::int64_t>(), numbers_of(row[2].c_str()), {}};
  const Ids first = numbers_of(row[3].c_str());
  for (std::size_t lane = 0; lane < first.size(); ++lane) {
    writers.first.at(lane) = number_of(first[lane]);
  }
  return writers;
}

Sweep Queue::sweep(std::span<const PlaceRange> ranges, int bucket_bits, int most,
                   std::span<const std::int64_t> skipped) {
  const RangesText given(ranges);
  const auto row = call(
      "select moved, refused, states, refusal, reached, bucket, leased, look_ms"
      " from pgforeman.sweep($1, $2::bigint[], $3::bigint[], $4::int, $5::int,"
      " $6::bigint[])",
      {name_, given.above, given.upto, std::to_string(bucket_bits), std::to_string(most),
       array_text(skipped)})[0];
  const auto moved = row[0].as<std::int64_t>();
  Sweep sweep{moved, refused_of(row, 1, moved > 0), numbers_of(row[4].c_str()), {}};
  const Ids buckets = numbers_of(row[5].c_str());
  const Ids leased = numbers_of(row[6].c_str());
  const Ids look_ms = numbers_of(row[7].c_str());
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    sweep.buckets.push_back({buckets[i], leased.at(i), Millis{look_ms.at(i)}});
  }
  return sweep;
}

bool Queue::can_listen() const {
  return connection_.impl().direct();
}

void Queue::listen() {
  connection_.impl().notifications(kChannel);
  call("select pgforeman.become_listener($1, test => true)", {name_});
}

void Queue::become_listener() {
  call("select pgforeman.become_listener($1)", {name_});
}

void Queue::leave_listeners() {
  call("select pgforeman.leave_listeners($1)", {name_});
}

std::vector<Queue::Notification> Queue::notifications() {
  std::vector<Notification> received;
  for (const std::string& payload : connection_.impl().notifications(kChannel)) {
    if (payload == name_ + " test") received.push_back(Notification::test);
    if (payload == name_ + " now") received.push_back(Notification::now);
    if (payload == name_ + " later") received.push_back(Notification::later);
  }
  return received;
}

int Queue::socket() const {
  return connection_.impl().socket();
}

std::optional<Millis> Queue::vacuum_due(Millis every) {
  const pqxx::result rows =
      call("select pgforeman.vacuum_due_ms($1)", {std::to_string(every.count())});
  if (rows[0][0].is_null()) return std::nullopt;
  return Millis(rows[0][0].as<std::int64_t>());
}

void Queue::vacuum() {
  connection_.impl().exec("vacuum (skip_locked, truncate off) pgforeman.message");
}

std::int64_t Queue::highest_id() {
  return call("select pgforeman.highest_id()")[0][0].as<std::int64_t>();
}

bool Queue::has_scheduled(std::int64_t highest) {
  return call(
             "select exists (select from pgforeman.message m"
             " where m.queue operator(pg_catalog.=) $1::text collate \"C\""
             " and m.state operator(pg_catalog.=) 1::int2"
             " and m.id operator(pg_catalog.<=) $2::bigint)",
             {name_, std::to_string(highest)})[0][0]
      .as<bool>();
}

QueueCounts Queue::counts() {
  const pqxx::result rows = call(
      "select ready, scheduled, running, dead, oldest_seconds, capped from pgforeman.counts($1)",
      {name_});
  return counts_of(rows[0], 0);
}

std::optional<AdvancedIds> Queue::advance_ids() {
  const pqxx::result rows =
      connection_.impl().call("select was, now_at, moved from pgforeman.advance_ids($1)", {name_});
  if (rows.empty()) return std::nullopt;
  return AdvancedIds{rows[0][0].as<std::int64_t>(), rows[0][1].as<std::int64_t>(),
                     rows[0][2].as<bool>()};
}

}  // namespace pgforeman
