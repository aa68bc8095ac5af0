#include "faults/stage.h"

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "faults/records.h"

namespace pgforeman::test {
namespace {

/// How fleets differ. A replaced one is of the next kind.
const std::vector<Settings>& kinds() {
  static const std::vector<Settings> all = {
      {{"HANDLER_MODE", "exec"}, {"BATCH", "auto"}},  {{"HANDLER_MODE", "jsonl"}, {"BATCH", "10"}},
      {{"HANDLER_MODE", "jsonl"}, {"BATCH", "auto"}}, {{"HANDLER_MODE", "jsonl"}, {"BATCH", "1"}},
      {{"HANDLER_MODE", "jsonl"}, {"BATCH", "20"}},
  };
  return all;
}

constexpr std::size_t kPooled = 2;  // this kind, if its fleet may be replaced, is behind PgBouncer

/// Short times, so that much happens; large budgets, so that chance alone kills no message.
const Settings kCommon = {
    {"CONCURRENCY", "4"},        {"HANDLER_TIMEOUT", "2s"},     {"VISIBILITY_TIMEOUT", "5s"},
    {"POLL_INTERVAL", "200ms"},  {"RETRY_BACKOFF", "10ms"},     {"RETRY_BACKOFF_MAX", "1s"},
    {"MAX_ATTEMPTS", "50"},      {"MAX_CRASHES", "12"},         {"MAX_CLAIMS", "1000"},
    {"CRASH_LOOP_COUNT", "100"}, {"RESTART_BACKOFF_MAX", "1s"}, {"SHUTDOWN_GRACE", "5s"},
};

constexpr std::chrono::seconds kEnd{30}, kLongestRun{5};
constexpr const char* kRole = Pooler::kOtherUser;  ///< of the fleets that are not the owner's

}  // namespace

Stage::Stage(bool pooled)
    // Processes are killed in the middle of a write.
    : server_("full_page_writes = on"), pooler_(server_), actors_(2) {
  server_.create_database("faults");
  sql().query(std::string("create role ") + kRole + " login");
  const CommandResult migrated =
      run_command({"migrate", "--grant", kRole}, {{"DATABASE_URL", database()}});
  if (migrated.code != 0) throw std::runtime_error("pgforeman migrate: " + migrated.err);
  keep_records(sql());
  actors_[0].steady = true;
  for (std::size_t i = 0; i < actors_.size(); ++i) {
    actors_[i].kind = i > 0 && pooled ? kPooled : i;
    start(actors_[i]);
  }
  for (const Actor& actor : actors_) {
    if (!actor.fleet->wait_ready()) throw std::runtime_error("a fleet does not become ready");
  }
}

void Stage::start(Actor& actor) {
  const bool pooled = !actor.steady && actor.kind == kPooled;
  actor.network = std::make_unique<Proxy>(pooled ? pooler_.port() : server_.port());
  actor.name = (actor.steady ? "a" : "b") + std::to_string(++actor.lives);
  Settings settings = kinds()[actor.kind];
  settings.insert(kCommon.begin(), kCommon.end());
  settings["DATABASE_URL"] = "postgresql://" + std::string(actor.steady ? "postgres" : kRole) +
                             "@localhost:" + std::to_string(actor.network->port()) + "/faults";
  settings["HANDLER"] =
      FAULT_HANDLER_PATH " " + settings["HANDLER_MODE"] + " " + ledger() + " " + actor.name;
  actor.fleet = std::make_unique<Fleet>(settings, Fleet::Wait::port, [&](Launch& what) {
    what.environment["LD_PRELOAD"] = DEAD_NAMES_PATH;
    what.environment["ASAN_OPTIONS"] = "verify_asan_link_order=0";  // it comes first
    what.environment["DEAD_NAMES_FILE"] = folder_.file("names-are-dead");
  });
  actor.frozen = actor.bare = false;
  actor.end = Actor::End::none;
}

Actor* Stage::any_unsteady(Dice& dice) {
  Actor& actor = any(dice);
  Actor& other = actor.steady ? actors_.back() : actor;
  return other.frozen || other.end != Actor::End::none ? nullptr : &other;
}

std::optional<Status> Stage::ask(const Actor& actor) const {
  if (!actor.answers()) return std::nullopt;
  const HttpReply reply = actor.fleet->get("/status", 500ms);
  if (reply.status != 200) return std::nullopt;
  return parse_status(reply.body);
}

std::optional<SlotStatus> Stage::any_slot(const Actor& actor, Dice& dice) const {
  const auto status = ask(actor);
  if (!status || status->slots.empty()) return std::nullopt;
  const SlotStatus slot = status->slots[dice.below(status->slots.size())];
  if (slot.pid <= 0) return std::nullopt;
  return slot;
}

pid_t Stage::maintenance_of(const Actor& actor) const {
  const auto status = ask(actor);
  return status ? status->maintenance.pid : 0;
}

void Stage::check(const Actor& actor, std::optional<Ended> ended) {
  if (!ended) problems_.push_back("fleet " + actor.name + " does not end");
  if (ended && actor.end == Actor::End::told && (ended->signal != 0 || ended->code != 0)) {
    problems_.push_back("fleet " + actor.name + " was told to end, and ended with code " +
                        std::to_string(ended->code) + ", signal " + std::to_string(ended->signal));
  }
  const bool nothing_left =
      eventually([&] { return actor.fleet->processes().empty(); }, std::chrono::seconds(5));
  if (!nothing_left) problems_.push_back("fleet " + actor.name + " left processes behind");
  for (const auto& line : actor.fleet->log()) {
    const bool of_a_limit = line["explain"].find("SIGXFSZ") != std::string::npos ||
                            line["explain"].find("SIGXCPU") != std::string::npos;
    if (of_a_limit) problems_.push_back("fleet " + actor.name + " says: " + line["explain"]);
    if (line.message.find("this is a bug") != std::string::npos) {
      problems_.push_back("fleet " + actor.name + " says: " + line.message + " " + line["error"]);
    }
  }
  folder_.write("fleet-" + actor.name + ".log", actor.fleet->log_text());
  if (const std::string words = actor.fleet->last_words(); !words.empty()) {
    problems_.push_back("fleet " + actor.name + " wrote to stderr: " + words.substr(0, 2000));
  }
}

void Stage::replace(Actor& actor) {
  if (actor.fleet) {
    const auto ended = actor.fleet->wait_end(0ms);
    if (!ended) throw std::runtime_error("fleet " + actor.name + " has not ended");
    check(actor, ended);
    actor.fleet.reset();
  }
  actor.kind = (actor.kind + 1) % kinds().size();
  start(actor);
}

Sql& Stage::sql() {
  if (server_away_) throw std::runtime_error("the server is away");
  if (!sql_) sql_ = session();
  try {
    sql_->query("select 1");
  } catch (const std::runtime_error&) {
    sql_ = session();
  }
  return *sql_;
}

std::unique_ptr<Sql> Stage::session() const {
  if (server_away_) throw std::runtime_error("the server is away");
  auto session = std::make_unique<Sql>(database() + " connect_timeout=5");
  // Faults set defaults of the whole server. A session that waits for a lock makes later ones wait.
  session->query(
      "set statement_timeout = '5s'; set lock_timeout = '300ms';"
      "set default_transaction_read_only = off; set synchronous_commit = local;"
      "set default_transaction_isolation = 'read committed'");
  return session;
}

void Stage::let_handlers_exit_0(bool let) {
  const std::string sign = ledger() + ".exit-0";  // see handler.cpp
  if (let) std::ofstream{sign};
  if (!let) std::filesystem::remove(sign);
  exit_0_ = let;
  exit_0_until_ = std::chrono::steady_clock::now() + kLongestRun;
}

void Stage::let_names_die(bool let) {
  const std::string sign = folder_.file("names-are-dead");  // see dead_names.cpp
  if (let) std::ofstream{sign};
  if (!let) std::filesystem::remove(sign);
}

bool Stage::handlers_exit_0() const {
  return exit_0_ || std::chrono::steady_clock::now() < exit_0_until_;
}

bool Stage::wait_until_empty(std::chrono::milliseconds limit) {
  return eventually(
      [&] {
        try {
          return sql().number("select count(*) from pgforeman.message") == 0;
        } catch (const std::runtime_error&) {
          return false;  // connections that a fault took are still ending
        }
      },
      limit);
}

std::vector<std::string> Stage::finish() {
  for (Actor& actor : actors_) {
    actor.end = Actor::End::told;
    actor.fleet->signal(SIGTERM);
  }
  for (Actor& actor : actors_) check(actor, actor.fleet->wait_end(kEnd));
  return problems_;
}

void Stage::keep_logs(const std::string& folder) const {
  namespace fs = std::filesystem;
  fs::create_directories(folder);
  for (const Actor& actor : actors_) {
    if (actor.fleet) folder_.write("fleet-" + actor.name + ".log", actor.fleet->log_text());
  }
  fs::copy(folder_.file("."), folder,
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  fs::copy_file(server_.folder() + "/server.log", folder + "/server.log",
                fs::copy_options::overwrite_existing);
}

}  // namespace pgforeman::test
