#include "support/pooler.h"

#include <libpq-fe.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "support/server_process.h"

namespace pgforeman::test {

namespace fs = std::filesystem;

Pooler::Pooler(const ThrowawayPostgres& server, const std::string& mode) : port_(free_port()) {
  std::string pattern = (fs::temp_directory_path() / "pgforeman-pooler-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "mkdtemp");
  }
  folder_ = pattern;
  ::chmod(folder_.c_str(), 0777);  // its log is another user's
  std::ofstream(folder_ + "/users.txt") << "\"postgres\" \"\"\n\"" << kOtherUser << "\" \"\"\n";
  std::ofstream(folder_ + "/pgbouncer.ini")
      << "[databases]\n* = host=127.0.0.1 port=" << server.port() << "\n"
      << "[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = " << port_ << "\n"
      << "unix_socket_dir =\nauth_type = trust\nauth_file = " << folder_ << "/users.txt\n"
      << "pool_mode = " << mode << "\nmax_client_conn = 500\n"
      << "server_login_retry = 0.2\n"  // else an outage of a moment lasts 15 s
      << "default_pool_size = " << (mode == "session" ? 50 : 4) << "\n";
  start();
}

Pooler::~Pooler() {
  stop();
  std::error_code none;
  fs::remove_all(folder_, none);
}

void Pooler::start() {
  const std::string log = folder_ + "/log";
  pid_ = spawn_server({"pgbouncer", folder_ + "/pgbouncer.ini"}, log);
  const std::string target = conninfo("postgres") + " connect_timeout=5";
  const bool answers = eventually([&] {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) pid_ = -1;
    return pid_ < 0 || PQping(target.c_str()) == PQPING_OK;
  });
  if (answers && pid_ > 0) return;
  std::ostringstream text;
  text << std::ifstream(log).rdbuf();
  throw std::runtime_error("PgBouncer did not start:\n" + text.str());
}

void Pooler::stop() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void Pooler::restart() {
  stop();
  start();
}

std::string Pooler::conninfo(const std::string& database) const {
  return "host=127.0.0.1 port=" + std::to_string(port_) + " user=postgres dbname=" + database;
}

}  // namespace pgforeman::test
