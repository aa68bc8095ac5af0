// Preloaded into the daemon: the child whose pid stands in $EXIT_FAULT_FILE exits with code 7 when
// it next waits for something. A way to an exit code that no healthy child has.

#include <dlfcn.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

extern "C" int epoll_wait(int fd, epoll_event* events, int size, int timeout) {
  using Real = int (*)(int, epoll_event*, int, int);
  static const Real real = reinterpret_cast<Real>(::dlsym(RTLD_NEXT, "epoll_wait"));
  if (const char* path = std::getenv("EXIT_FAULT_FILE")) {
    if (std::FILE* file = std::fopen(path, "r")) {
      int pid = 0;
      const int read = std::fscanf(file, "%d", &pid);
      std::fclose(file);
      if (read == 1 && pid == static_cast<int>(::getpid())) ::_exit(7);
    }
  }
  return real(fd, events, size, timeout);
}
