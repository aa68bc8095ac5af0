#pragma once
// Real processes for tests: start one with its own environment, limits and user; find everything
// that descends from it by a mark in the environment; end all of it.

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
  std::string out, err;           ///< files, appended to; empty: /dev/null
  std::string in;                 ///< a file; empty: /dev/null
  std::optional<uid_t> user;      ///< as root only
  std::optional<long> processes;  ///< RLIMIT_NPROC
  std::string folder = "/";
};

struct Ended {
  int code = -1;  ///< valid when signal == 0
  int signal = 0;
};

/// In a process group of its own; dies with this process. Throws std::system_error.
pid_t launch(const Launch& what);

/// Reaps it if it ends within `limit`.
std::optional<Ended> wait_for_end(pid_t pid, std::chrono::milliseconds limit);

/// This process's environment without anything that speaks to pgforeman or libpq.
std::map<std::string, std::string> clean_environment();

/// A value no other process has in its environment.
std::string unique_mark();

/// Living processes (no zombies) whose environment has `mark`.
std::vector<pid_t> marked_processes(const std::string& mark);

/// Kills them until none is left.
void kill_marked(const std::string& mark);

struct ProcessState {
  char state = 0;  ///< R S D T t Z ...; 0: there is no such process
  pid_t parent = 0;
  double cpu_seconds = 0;
  double reaped_cpu_seconds = 0;    ///< of its children that it waited for; counted in 10 ms
  double kept_waiting_seconds = 0;  ///< ready to run, but without a processor: others' noise
};
ProcessState process_state(pid_t pid);
bool alive(pid_t pid);  ///< exists and is no zombie
std::vector<pid_t> children_of(pid_t pid);

/// A folder that goes with this object; others may read it.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  /// Writes it whole under its name at once, so that a reader never sees half of it.
  std::string write(const std::string& name, const std::string& text, int mode = 0644) const;

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
std::vector<std::string> read_lines(const std::string& path);  ///< whole lines only

}  // namespace pgforeman::test
