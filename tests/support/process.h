#pragma once
// Real processes for tests: starts one with its own environment, limits and user; finds all its
// descendants by a mark in the environment; kills them.

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pgforeman::test {

struct Launch {
  std::vector<std::string> argv;  ///< argv[0] is a path
  std::map<std::string, std::string> environment;
  std::string out, err;           ///< files to append to; empty: /dev/null
  std::string in;                 ///< a file; empty: /dev/null
  std::optional<uid_t> user;      ///< only if the caller is root
  std::optional<long> processes;  ///< RLIMIT_NPROC
  std::string folder = "/";
};

struct Ended {
  int code = -1;  ///< valid when signal == 0
  int signal = 0;
};

/// Starts a process in a new process group; it dies with the caller. Throws std::system_error.
pid_t launch(const Launch& what);

/// Reaps `pid` if it ends within `limit`; else returns nothing.
std::optional<Ended> wait_for_end(pid_t pid, std::chrono::milliseconds limit);

/// Returns the environment of this process without variables of pgforeman and libpq.
std::map<std::string, std::string> clean_environment();

/// Returns a value that is in the environment of no other process.
std::string unique_mark();

/// Returns living processes (no zombies) with `mark` in their environment.
std::vector<pid_t> marked_processes(const std::string& mark);

/// Kills all processes with `mark` until none is left.
void kill_marked(const std::string& mark);

struct ProcessState {
  char state = 0;  ///< R S D T t Z ...; 0: no such process
  pid_t parent = 0;
  double cpu_seconds = 0;
  double reaped_cpu_seconds = 0;    ///< of reaped children; in steps of 10 ms
  double kept_waiting_seconds = 0;  ///< runnable without a processor: noise of others
};
ProcessState process_state(pid_t pid);
bool alive(pid_t pid);  ///< `pid` exists and is no zombie
std::vector<pid_t> children_of(pid_t pid);

/// A temporary folder, removed by the destructor; other users may read it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// Writes a file atomically, so that a reader never sees half of it.
  std::string write(const std::string& name, const std::string& text, int mode = 0644) const;

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
std::vector<std::string> read_lines(const std::string& path);  ///< complete lines only

}  // namespace pgforeman::test
