// What is piped into `send`: lines, as they come out of a descriptor.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "commands/json_fields.h"
#include "commands/line_input.h"
#include "fuzz/must.h"

using namespace pgforeman;
using pgforeman::test::must;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int fd = ::memfd_create("lines", MFD_CLOEXEC);
  must(fd >= 0 && ::ftruncate(fd, 0) == 0 &&
           ::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size) &&
           ::lseek(fd, 0, SEEK_SET) == 0,
       "a file in memory");
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  LineInput input(fd);
  while (const auto line = input.next()) {
    must(!rest.empty(), "there are as many lines");
    std::string_view expected = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), expected.size() + 1));
    if (expected.ends_with('\r')) expected.remove_suffix(1);
    must(*line == expected, "no byte is lost but the line's end");
    must(Json::accept(json_text(*line)), "any text can be told as JSON");
  }
  must(rest.empty(), "no line is lost");
  return 0;
}
