// The least a jsonl handler can be: says done to every line.
//
//   handler FILE           adds to FILE, as 8 bytes, the age in ns of each payload with a "t"
//   handler --starts FILE  adds when each message began; holds the first run of those whose
//                          payload has a "hold", for ever

#include <fcntl.h>
#include <unistd.h>

#include <iostream>
#include <string>

#include "support.h"

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const bool starts = argc > 2 && std::string(argv[1]) == "--starts";
  const int file =
      argc > 1 ? ::open(argv[argc - 1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666) : -1;
  std::string line;
  while (std::getline(std::cin, line)) {
    if (starts) {
      const std::int64_t now = bench::now_ns();
      if (::write(file, &now, sizeof now) != sizeof now) return 1;
      const bool first = bench::number_after(line, "\"fence\":") == 1;
      while (first && line.find("\"hold\"") != std::string::npos) ::pause();
    } else if (const std::int64_t sent = bench::number_after(line, "\"t\": ");
               file >= 0 && sent != 0) {
      const std::int64_t age = bench::now_ns() - sent;
      if (::write(file, &age, sizeof age) != sizeof age) return 1;
    }
    std::cout << "{\"id\":" << bench::number_after(line, "\"id\":") << ",\"status\":\"done\"}\n"
              << std::flush;
  }
}
