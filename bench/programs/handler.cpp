// The least a jsonl handler can be: says done to every line. With a file as argument it adds to it,
// for each payload with a time stamp "t", how many nanoseconds ago that was, as 8 bytes.

#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "support.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const int file = argc > 1 ? ::open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (const std::int64_t sent = bench::number_after(line, "\"t\": "); file >= 0 && sent != 0) {
      const std::int64_t age = bench::now_ns() - sent;
      if (::write(file, &age, sizeof age) != sizeof age) return 1;
    }
    std::cout << "{\"id\":" << bench::number_after(line, "\"id\":") << ",\"status\":\"done\"}\n"
              << std::flush;
  }
}
