// Preloaded into PostgreSQL: while there is a file $FULL_DISK_FILE its tables and indexes cannot
// grow, as on a disk that is full.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

template <typename Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

bool fails(int fd, off_t end) {
  const char* sign = std::getenv("FULL_DISK_FILE");
  if (sign == nullptr || ::access(sign, F_OK) != 0) return false;
  char link[40], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, path, sizeof path - 1);
  if (size <= 0) return false;
  path[size] = 0;
  struct stat file {};
  return std::strstr(path, "/base/") != nullptr && ::fstat(fd, &file) == 0 && end > file.st_size;
}

}  // namespace

extern "C" ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  static const auto next = real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite");
  if (!fails(fd, at + static_cast<off_t>(size))) return next(fd, data, size, at);
  errno = ENOSPC;
  return -1;
}

extern "C" ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  static const auto next = real<ssize_t (*)(int, const iovec*, int, off_t)>("pwritev");
  off_t end = at;
  for (int i = 0; i < count; ++i) end += static_cast<off_t>(parts[i].iov_len);
  if (!fails(fd, end)) return next(fd, parts, count, at);
  errno = ENOSPC;
  return -1;
}

extern "C" int posix_fallocate(int fd, off_t at, off_t size) {
  static const auto next = real<int (*)(int, off_t, off_t)>("posix_fallocate");
  return fails(fd, at + size) ? ENOSPC : next(fd, at, size);
}
