#include "support/postgres.h"

#include <dirent.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "support/server_process.h"

namespace pgforeman::test {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::seconds kStartLimit{30};

/// Of the server in folder $TEST_POSTGRES_FOLDER, or of the newest one that is installed.
std::string binary(const std::string& name) {
  static const std::string newest = [] {
    std::string best;
    if (const char* chosen = std::getenv("TEST_POSTGRES_FOLDER")) return chosen + std::string("/");
    int best_version = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
      const int version = std::atoi(entry.path().filename().c_str());
      if (version > best_version && fs::exists(entry.path() / "bin/initdb")) {
        best_version = version;
        best = (entry.path() / "bin/").string();
      }
    }
    return best;
  }();
  return newest + name;  // without a folder: execvp searches PATH
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

/// In memory where there is plenty (a server's files are 40 MB, a new database's 8, but the log of
/// a million messages is gigabytes): that halves what tests cost. Or in TMPDIR, if it is set.
fs::path servers_folder() {
  const fs::path memory = "/dev/shm";
  constexpr std::uintmax_t kPlenty = 8ULL << 30U;
  std::error_code none;
  const auto space = fs::space(memory, none);
  const bool plenty = !none && space.available >= kPlenty && ::access(memory.c_str(), W_OK) == 0;
  return plenty && std::getenv("TMPDIR") == nullptr ? memory : fs::temp_directory_path();
}

void run_initdb(const std::string& folder) {
  if (const passwd* user = server_user()) {
    if (::chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::system_error(errno, std::generic_category(), "chown");
    }
  }
  const std::string log = folder + "/initdb.log";
  const pid_t pid = spawn_server({binary("initdb"), "-D", folder + "/data", "-U", "postgres", "-A",
                                  "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
                                 log);
  if (wait_for(pid) != 0) {
    throw std::runtime_error(binary("initdb") + " failed:\n" + read_file(log));
  }
}

/// A new server's files, made once a build folder, as initdb takes 0.6 s of a processor and more
/// than a hundred test programs need them. Every server gets a copy.
const std::string& template_files() {
  static const std::string made = [] {
    std::string name = binary("initdb");  // of another version: other files
    std::replace(name.begin(), name.end(), '/', '-');
    const fs::path kept = fs::path(PGFOREMAN_TEST_FILES) / ("files-of" + name);
    if (fs::exists(kept)) return kept.string();
    std::string fresh = (servers_folder() / "pgforeman-template-XXXXXX").string();
    if (::mkdtemp(fresh.data()) == nullptr) {
      throw std::system_error(errno, std::generic_category(), "mkdtemp");
    }
    run_initdb(fresh);
    // Complete under its final name, or not there: other test programs do the same meanwhile.
    const fs::path copy = kept.string() + "." + std::to_string(::getpid());
    fs::create_directories(kept.parent_path());
    fs::copy(fresh, copy, fs::copy_options::recursive);
    std::error_code other_was_first;
    fs::rename(copy, kept, other_was_first);
    if (other_was_first) fs::remove_all(copy);
    fs::remove_all(fresh);
    return kept.string();
  }();
  return made;
}

void give_to_server_user(const std::string& folder) {
  const passwd* user = server_user();
  if (user == nullptr) return;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (::lchown(entry.path().c_str(), user->pw_uid, user->pw_gid) != 0) {
      throw std::system_error(errno, std::generic_category(), "chown");
    }
  }
  if (::chown(folder.c_str(), user->pw_uid, user->pw_gid) != 0) {
    throw std::system_error(errno, std::generic_category(), "chown");
  }
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const std::string stat = read_file(entry.path().string() + "/stat");
    const auto after_name = stat.rfind(')');
    if (after_name == std::string::npos) continue;
    int ppid = 0;
    char state = 0;
    if (std::sscanf(stat.c_str() + after_name + 1, " %c %d", &state, &ppid) == 2 &&
        ppid == parent) {
      children.push_back(pid);
    }
  }
  return children;
}

}  // namespace

bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  using std::chrono::milliseconds;
  const auto begun = std::chrono::steady_clock::now();
  for (;;) {
    if (condition()) return true;
    const auto waited =
        std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begun);
    if (waited >= limit) return false;
    // A long wait asks less often: many conditions cost a process of the fleet as much.
    ::poll(nullptr, 0,
           static_cast<int>(std::clamp(waited / 20, milliseconds{5}, milliseconds{30}).count()));
  }
}

ThrowawayPostgres::ThrowawayPostgres(Empty) {
  std::string pattern = (servers_folder() / "pgforeman-pg-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "mkdtemp");
  }
  folder_ = pattern;
  ::chmod(folder_.c_str(), 0755);  // others connect through the socket in it
}

// From here on the destructor removes the folder, whatever is thrown.
ThrowawayPostgres::ThrowawayPostgres(const std::string& settings) : ThrowawayPostgres(Empty{}) {
  fs::copy(template_files() + "/data", folder_ + "/data", fs::copy_options::recursive);
  fs::permissions(folder_ + "/data", fs::perms::owner_all);
  write_config(settings);
  give_to_server_user(folder_);
  start();
}

std::unique_ptr<ThrowawayPostgres> ThrowawayPostgres::standby_of(const ThrowawayPostgres& primary) {
  std::unique_ptr<ThrowawayPostgres> standby(new ThrowawayPostgres(Empty{}));
  give_to_server_user(standby->folder_);
  standby->run_program({"pg_basebackup", "-D", standby->folder_ + "/data", "-d", primary.conninfo(),
                        "-R", "-X", "stream", "-c", "fast"});
  standby->write_config("");
  standby->start();
  Sql sql(primary.conninfo());
  const bool streams = eventually(
      [&] {
        return sql.number("select count(*) from pg_stat_replication where state = 'streaming'") ==
               1;
      },
      kStartLimit);
  if (!streams) throw std::runtime_error("the standby does not follow:\n" + standby->log_tail());
  return standby;
}

std::string ThrowawayPostgres::run_program(const std::vector<std::string>& words) const {
  const std::string log = folder_ + "/program.log";
  std::error_code none;
  fs::remove(log, none);
  std::vector<std::string> all = words;
  all[0] = binary(words[0]);
  const int status = wait_for(spawn_server(all, log));
  const std::string text = read_file(log);
  if (status != 0) throw std::runtime_error(words[0] + " failed:\n" + text);
  return text;
}

void ThrowawayPostgres::promote() {
  Sql sql(conninfo());
  if (sql.query("select pg_promote()") != "t") throw std::runtime_error("not promoted");
}

ThrowawayPostgres::~ThrowawayPostgres() {
  remove_segment();
  if (pid_ > 0) {
    const std::vector<pid_t> children = children_of(pid_);
    ::kill(pid_, SIGKILL);
    for (const pid_t child : children) ::kill(child, SIGKILL);
    wait_for(pid_);
  }
  std::error_code none;
  fs::remove_all(folder_, none);
}

/// The kernel keeps a killed server's for ever, and has room for some thousands.
void ThrowawayPostgres::remove_segment() const {
  std::ifstream lines(folder_ + "/data/postmaster.pid");
  std::string line;
  for (int i = 0; i < 7; ++i) std::getline(lines, line);
  long key = 0;
  int segment = -1;
  if (std::istringstream(line) >> key >> segment) ::shmctl(segment, IPC_RMID, nullptr);
}

void ThrowawayPostgres::write_config(const std::string& settings) {
  std::ofstream out(folder_ + "/data/postgresql.conf", std::ios::app);
  out << "listen_addresses = '127.0.0.1'\nunix_socket_directories = '" << folder_ << "'\n"
      << "fsync = off\nfull_page_writes = off\nmax_connections = 200\nshared_buffers = 64MB\n"
      << "max_wal_size = 4GB\nmax_prepared_transactions = 10\nlog_min_messages = "
         "warning\nautovacuum_naptime = 5s\n"
      << "dynamic_shared_memory_type = mmap\n"
      << settings << "\n";
}

std::string ThrowawayPostgres::log_tail() const {
  const std::string log = read_file(folder_ + "/server.log");
  return log.size() > 4000 ? log.substr(log.size() - 4000) : log;
}

void ThrowawayPostgres::start() {
  if (pid_ > 0) return wait_until_it_answers();
  // Between finding a free port and PostgreSQL binding it another process may: then try another. A
  // restart keeps its port, or clients could not come back.
  const bool first = port_ == 0;
  for (int tries = first ? 5 : 1; tries > 0; --tries) {
    if (first) port_ = free_port();
    pid_ = spawn_server({binary("postgres"), "-D", folder_ + "/data", "-p", std::to_string(port_)},
                        folder_ + "/server.log");
    try {
      wait_until_it_answers();
      return;
    } catch (const std::runtime_error&) {
      if (tries == 1) throw;
    }
  }
}

void ThrowawayPostgres::wait_until_it_answers() {
  const auto end = std::chrono::steady_clock::now() + kStartLimit;
  const std::string target = conninfo() + " connect_timeout=5";
  while (PQping(target.c_str()) != PQPING_OK) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      throw std::runtime_error("PostgreSQL did not start:\n" + log_tail());
    }
    if (std::chrono::steady_clock::now() > end) {
      throw std::runtime_error("PostgreSQL does not answer:\n" + log_tail());
    }
    ::poll(nullptr, 0, 10);
  }
}

void ThrowawayPostgres::wait_for_end(pid_t pid, const char* what) {
  const bool ended =
      eventually([&] { return ::waitpid(pid, nullptr, WNOHANG) == pid; }, kStartLimit);
  if (!ended) throw std::runtime_error(std::string("PostgreSQL survived ") + what);
  pid_ = -1;
}

void ThrowawayPostgres::stop_by(int signal, const char* what) {
  if (pid_ <= 0) return;
  ::kill(pid_, signal);
  wait_for_end(pid_, what);
}

void ThrowawayPostgres::stop_fast() {
  stop_by(SIGINT, "a fast shutdown");
}

void ThrowawayPostgres::stop_immediately() {
  stop_by(SIGQUIT, "an immediate shutdown");
}

void ThrowawayPostgres::kill9() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGSTOP);  // so that it makes no child that is not in the list
  const std::vector<pid_t> children = children_of(pid_);
  ::kill(pid_, SIGKILL);
  for (const pid_t child : children) ::kill(child, SIGKILL);
  wait_for_end(pid_, "SIGKILL");
  // Orphans are reaped by another process; a restart needs them gone.
  const bool gone = eventually(
      [&] {
        return std::none_of(children.begin(), children.end(), [](pid_t child) {
          const std::string stat = read_file("/proc/" + std::to_string(child) + "/stat");
          return !stat.empty() && stat.find(") Z ") == std::string::npos;
        });
      },
      kStartLimit);
  if (!gone) throw std::runtime_error("PostgreSQL's processes survived SIGKILL");
}

void ThrowawayPostgres::pause() {
  ::kill(pid_, SIGSTOP);
  for (const pid_t child : children_of(pid_)) ::kill(child, SIGSTOP);
}

void ThrowawayPostgres::resume() {
  for (const pid_t child : children_of(pid_)) ::kill(child, SIGCONT);
  ::kill(pid_, SIGCONT);
}

std::string ThrowawayPostgres::conninfo(const std::string& database) const {
  return "host=" + folder_ + " port=" + std::to_string(port_) + " user=postgres dbname=" + database;
}

std::string ThrowawayPostgres::tcp_url(const std::string& database) const {
  return "postgresql://postgres@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string ThrowawayPostgres::create_database(const std::string& name, const std::string& like) {
  Sql(conninfo()).query("create database \"" + name + "\" template \"" + like + "\"");
  return conninfo(name);
}

ThrowawayPostgres& ThrowawayPostgres::shared() {
  static ThrowawayPostgres server;
  return server;
}

Sql::Sql(const std::string& conninfo) : connection_(PQconnectdb(conninfo.c_str())) {
  auto* connection = static_cast<PGconn*>(connection_);
  if (PQstatus(connection) != CONNECTION_OK) {
    const std::string text = PQerrorMessage(connection);
    PQfinish(connection);
    throw std::runtime_error(text);
  }
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);
}

Sql::~Sql() {
  PQfinish(static_cast<PGconn*>(connection_));
}

std::vector<Row> Sql::rows(const std::string& sql) {
  PGresult* result = PQexec(static_cast<PGconn*>(connection_), sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    const std::string text = PQresultErrorMessage(result);
    PQclear(result);
    throw std::runtime_error(text.empty() ? "no connection" : text);
  }
  std::vector<Row> rows(static_cast<std::size_t>(PQntuples(result)));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (int column = 0; column < PQnfields(result); ++column) {
      const int row = static_cast<int>(i);
      rows[i].emplace_back(PQgetisnull(result, row, column) != 0 ? "NULL"
                                                                 : PQgetvalue(result, row, column));
    }
  }
  PQclear(result);
  return rows;
}

std::string Sql::query(const std::string& sql) {
  const auto all = rows(sql);
  return all.empty() || all[0].empty() ? "" : all[0][0];
}

std::int64_t Sql::number(const std::string& sql) {
  return std::stoll(query(sql));
}

}  // namespace pgforeman::test
