#include "support.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iostream>

namespace bench {

Session connect() {
  Session session(PQconnectdb(""), PQfinish);
  if (PQstatus(session.get()) != CONNECTION_OK) {
    std::fprintf(stderr, "cannot connect: %s", PQerrorMessage(session.get()));
    std::_Exit(1);
  }
  return session;
}

Result check(const Session& session, PGresult* result) {
  const auto status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    std::fprintf(stderr, "%s", PQerrorMessage(session.get()));
    std::_Exit(1);
  }
  return {result, PQclear};
}

Result query(const Session& session, const char* sql) {
  return check(session, PQexec(session.get(), sql));
}

std::int64_t now_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

std::vector<pid_t> fork_workers(int count, const std::function<void(int)>& work) {
  std::vector<pid_t> workers;
  for (int i = 0; i < count; ++i) {
    const pid_t pid = ::fork();
    if (pid < 0) {
      std::perror("fork");
      std::_Exit(1);
    }
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      work(i);
      std::_Exit(0);
    }
    workers.push_back(pid);
  }
  return workers;
}

void end_workers(const std::vector<pid_t>& workers, int signal) {
  for (const pid_t pid : workers) ::kill(pid, signal);
  for (const pid_t pid : workers) ::waitpid(pid, nullptr, 0);
}

std::string argument(int argc, char** argv, const std::string& name, const std::string& otherwise) {
  for (int i = 1; i + 1 < argc; ++i) {
    if (name == argv[i]) return argv[i + 1];
  }
  return otherwise;
}

bool flag(int argc, char** argv, const std::string& name) {
  for (int i = 1; i < argc; ++i) {
    if (name == argv[i]) return true;
  }
  return false;
}

std::int64_t number_after(const std::string& text, const std::string& key) {
  const auto at = text.find(key);
  return at == std::string::npos ? 0 : std::strtoll(text.c_str() + at + key.size(), nullptr, 10);
}

void* shared_bytes(std::size_t size) {
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap");
    std::_Exit(1);
  }
  return memory;
}

bool wait_at_gate() {
  std::cout << "ready" << std::endl;
  std::string line;
  return static_cast<bool>(std::getline(std::cin, line));
}

}  // namespace bench
