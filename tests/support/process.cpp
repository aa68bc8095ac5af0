#include "support/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "support/postgres.h"

namespace pgforeman::test {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

int open_or_null(const std::string& path, int flags) {
  const int fd = ::open(path.empty() ? "/dev/null" : path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) fail(path);
  return fd;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (auto& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

/// What the child needs, made before fork: this process may have threads, so that between fork and
/// exec nothing may allocate.
struct Prepared {
  int program, in, out, err;
  std::vector<char*> argv, environment;
  pid_t parent;
};

[[noreturn]] void become(const Launch& what, const Prepared& made) {
  ::setpgid(0, 0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  bool ok = ::dup2(made.in, 0) == 0 && ::dup2(made.out, 1) == 1 && ::dup2(made.err, 2) == 2;
  ok = ok && ::chdir(what.folder.c_str()) == 0;
  if (what.processes) {
    const auto most = static_cast<rlim_t>(*what.processes);
    const rlimit limit{most, RLIM_INFINITY};
    const rlimit without_right{most, most};
    ok = ok &&
         (::setrlimit(RLIMIT_NPROC, &limit) == 0 || ::setrlimit(RLIMIT_NPROC, &without_right) == 0);
  }
  if (what.user) {
    ok = ok && ::setgroups(0, nullptr) == 0 && ::setgid(*what.user) == 0 &&
         ::setuid(*what.user) == 0;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after setuid, which clears it
  if (!ok || ::getppid() != made.parent) ::_exit(125);
  // By descriptor: another user may not be allowed to walk the path to the build folder.
  ::fexecve(made.program, made.argv.data(), made.environment.data());
  ::_exit(127);
}

}  // namespace

pid_t launch(const Launch& what) {
  std::vector<std::string> argv = what.argv;
  std::vector<std::string> environment;
  for (const auto& [name, value] : what.environment) environment.push_back(name + "=" + value);
  Prepared made{};
  made.program = open_or_null(argv.at(0), O_RDONLY);
  made.in = open_or_null(what.in, O_RDONLY);
  made.out = open_or_null(what.out, O_WRONLY | O_CREAT | O_APPEND);
  made.err = open_or_null(what.err, O_WRONLY | O_CREAT | O_APPEND);
  made.argv = pointers(argv);
  made.environment = pointers(environment);
  made.parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) become(what, made);
  const int error = errno;
  for (const int fd : {made.program, made.in, made.out, made.err}) ::close(fd);
  errno = error;
  if (pid < 0) fail("fork");
  return pid;
}

std::optional<Ended> wait_for_end(pid_t pid, std::chrono::milliseconds limit) {
  int status = 0;
  if (!eventually([&] { return ::waitpid(pid, &status, WNOHANG) == pid; }, limit)) {
    return std::nullopt;
  }
  if (WIFSIGNALED(status)) return Ended{-1, WTERMSIG(status)};
  return Ended{WEXITSTATUS(status), 0};
}

std::map<std::string, std::string> clean_environment() {
  std::map<std::string, std::string> all;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string entry = *at;
    const auto equals = entry.find('=');
    if (equals == std::string::npos || entry.compare(0, 9, "PGFOREMAN") == 0) continue;
    // libpq's own are all PG and capitals.
    if (entry.compare(0, 2, "PG") == 0 || entry.compare(0, 12, "DATABASE_URL") == 0) continue;
    all[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  return all;
}

std::string unique_mark() {
  static std::atomic<int> count{0};
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return "TEST_MARK=" + std::to_string(::getpid()) + "-" + std::to_string(++count) + "-" +
         std::to_string(now);
}

std::vector<pid_t> marked_processes(const std::string& mark) {
  std::vector<pid_t> found;
  DIR* dir = ::opendir("/proc");
  if (dir == nullptr) fail("/proc");
  while (const dirent* entry = ::readdir(dir)) {  // NOLINT(concurrency-mt-unsafe): own stream
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    // A zombie has no environment any more.
    const std::string environment = read_file("/proc/" + std::to_string(pid) + "/environ");
    const auto at = ('\0' + environment).find('\0' + mark + '\0');
    if (at != std::string::npos) found.push_back(pid);
  }
  ::closedir(dir);
  return found;
}

void kill_marked(const std::string& mark) {
  eventually([&] {
    const auto left = marked_processes(mark);
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    return left.empty();
  });
}

ProcessState process_state(pid_t pid) {
  ProcessState result;
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return result;
  long reaped_user = 0, reaped_system = 0;
  if (std::sscanf(stat.c_str() + name_end + 1,
                  " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld", &result.state,
                  &result.parent, &reaped_user, &reaped_system) != 4) {
    return {};
  }
  static const auto kTicks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  result.reaped_cpu_seconds = static_cast<double>(reaped_user + reaped_system) / kTicks;
  // Exact, where the times in `stat` may be counted in ticks of 10 ms. The first thread's.
  const std::string schedule = read_file("/proc/" + std::to_string(pid) + "/schedstat");
  char* rest = nullptr;
  result.cpu_seconds = std::strtod(schedule.c_str(), &rest) / 1e9;
  result.kept_waiting_seconds = std::strtod(rest, nullptr) / 1e9;
  return result;
}

bool alive(pid_t pid) {
  const char state = process_state(pid).state;
  return state != 0 && state != 'Z' && state != 'X';
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  const std::string id = std::to_string(pid);
  std::istringstream list(read_file("/proc/" + id + "/task/" + id + "/children"));
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

TempFolder::TempFolder() {
  path_ = (fs::temp_directory_path() / "pgforeman-test-XXXXXX").string();
  if (::mkdtemp(path_.data()) == nullptr) fail("mkdtemp");
  ::chmod(path_.c_str(), 0755);
}

TempFolder::~TempFolder() {
  std::error_code none;
  fs::remove_all(path_, none);
}

std::string TempFolder::write(const std::string& name, const std::string& text, int mode) const {
  const std::string path = file(name);
  {
    std::ofstream out(path + ".new", std::ios::trunc);
    out << text;
    if (!out.flush()) fail(path);
  }
  ::chmod((path + ".new").c_str(), static_cast<mode_t>(mode));
  if (::rename((path + ".new").c_str(), path.c_str()) != 0) fail(path);
  return path;
}

std::string read_file(const std::string& path) {
  std::string text;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  char buffer[16384];
  for (ssize_t size = 0; (size = ::read(fd, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(fd);
  return text;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::string text = read_file(path);
  text.resize(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace pgforeman::test
