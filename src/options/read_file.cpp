#include "options/read_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

#include "system/fd.h"

namespace pgforeman {
namespace {

std::string cannot_read(int error) {
  return "cannot be read: " + std::generic_category().message(error);
}

}  // namespace

Parsed<std::string> read_text_file(const std::string& path, std::size_t max_bytes) {
  using Result = Parsed<std::string>;
  // O_NONBLOCK: opening a pipe must not wait for a writer.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return Result::wrong(cannot_read(errno));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return Result::wrong(cannot_read(errno));
  if (S_ISDIR(info.st_mode)) return Result::wrong("is a directory");
  if (!S_ISREG(info.st_mode)) return Result::wrong("is not a regular file");

  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t size = ::read(fd.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Result::wrong(cannot_read(errno));
    if (size == 0) return Result::ok(std::move(text));
    text.append(buffer.data(), static_cast<std::size_t>(size));
    if (text.size() > max_bytes) {
      return Result::wrong(fmt::format("is longer than {} bytes", max_bytes));
    }
  }
}

}  // namespace pgforeman
