// Lines: whole, bounded, parseable, never blocking.
#include "system/log.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/catch.h"
#include "system/fd.h"
#include "system/log_sink.h"
#include "text/terminal_text.h"

using namespace pgforeman;

namespace {

struct Pipe {
  Pipe() {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    read = UniqueFd(fds[0]);
    write = UniqueFd(fds[1]);
    ::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  }
  std::string drain() {
    std::string all;
    std::array<char, 65536> buffer;
    for (ssize_t n = 0; (n = ::read(read.get(), buffer.data(), buffer.size())) > 0;) {
      all.append(buffer.data(), static_cast<std::size_t>(n));
    }
    return all;
  }
  UniqueFd read, write;
};

}  // namespace

TEST_CASE("A JSON line parses, whatever the text", "[log]") {
  Pipe pipe;
  log::configure(log::Level::info, log::Format::json, pipe.write.get());
  log::identify("consumer", 3, 2);
  {
    const log::MessageScope scope(42, 5);
    log::warn("quote \" and newline \n and bad \xff byte",
              {{"why", "tab\t"}, {"count", 7}, {"ok", true}, {"ratio", 0.5}});
  }
  const auto line = nlohmann::json::parse(pipe.drain());
  CHECK(line["level"] == "warning");
  CHECK(line["role"] == "consumer");
  CHECK(line["slot"] == 3);
  CHECK(line["epoch"] == 2);
  CHECK(line["message_id"] == 42);
  CHECK(line["attempt"] == 5);
  CHECK(line["why"] == "tab\t");
  CHECK(line["count"] == 7);
  CHECK(line["ok"] == true);
  log::identify("supervisor", -1, 0);
}

TEST_CASE("A line is at most 4,096 bytes and still parses", "[log]") {
  Pipe pipe;
  log::configure(log::Level::info, log::Format::json, pipe.write.get());
  const std::string big(10000, 'x');
  log::info(big, {{"a", big}, {"b", big}, {"c", big}});
  const std::string line = pipe.drain();
  CHECK(line.size() <= log::LineSink::kMaxLine);
  CHECK(nlohmann::json::parse(line)["truncated"] == true);
  // Every byte a control character: escapes are six bytes each.
  log::info(std::string(3000, '\x01'), {{"a", std::string(3000, '\x02')}});
  const std::string escaped = pipe.drain();
  CHECK(escaped.size() <= log::LineSink::kMaxLine);
  CHECK(nlohmann::json::accept(escaped));
}

TEST_CASE("A text line quotes what would be ambiguous and stays one line", "[log]") {
  Pipe pipe;
  log::configure(log::Level::debug, log::Format::text, pipe.write.get());
  log::info("child ended", {{"explain", "killed by SIGKILL\nreally"}, {"pid2", 7}});
  const std::string line = pipe.drain();
  CHECK(line.find(R"(explain="killed by SIGKILL\nreally")") != std::string::npos);
  CHECK(line.find("pid2=7") != std::string::npos);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
}

TEST_CASE("A log line never steers a terminal, as text or as JSON", "[log]") {
  Pipe pipe;
  const std::string bad =
      "a\xc2\x9b"
      "31m\x9b\x1b[2J\x7f\xe2\x80\xae"
      "b";
  log::configure(log::Level::info, log::Format::text, pipe.write.get());
  log::info(bad, {{"error", bad}, {"one", "\x9bword"}});
  std::string line = pipe.drain();
  line.pop_back();
  INFO(line);
  CHECK(is_terminal_safe(line));
  log::configure(log::Level::info, log::Format::json, pipe.write.get());
  log::info(bad, {{"error", bad}});
  line = pipe.drain();
  line.pop_back();
  INFO(line);
  CHECK(is_terminal_safe(line));
  CHECK(nlohmann::json::parse(line)["error"] ==
        "a\xc2\x9b"
        "31m\xef\xbf\xbd\x1b[2J\x7f\xe2\x80\xae"
        "b");
}

TEST_CASE("Below the level nothing is written", "[log]") {
  Pipe pipe;
  log::configure(log::Level::warn, log::Format::text, pipe.write.get());
  log::info("no");
  CHECK(pipe.drain().empty());
}

TEST_CASE("A full pipe drops lines, counts them and logs the count when it is read again",
          "[log]") {
  Pipe pipe;
  log::configure(log::Level::info, log::Format::text, pipe.write.get());
  const auto before = log::dropped_lines();
  for (int i = 0; i < 2000; ++i) log::info("line", {{"text", std::string(1000, 'x')}});
  const auto dropped = log::dropped_lines() - before;
  CHECK(dropped > 1000);
  pipe.drain();
  log::info("again");
  const std::string text = pipe.drain();
  CHECK(text.find("again") != std::string::npos);
  CHECK(text.find("lines=" + std::to_string(dropped)) != std::string::npos);
  // The inherited description belongs to others, too: it is still blocking.
  CHECK((::fcntl(pipe.write.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("A socket without a reader never blocks", "[log]") {
  int fds[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  const UniqueFd ours(fds[0]);
  const UniqueFd theirs(fds[1]);
  log::LineSink sink(ours.get());
  const std::string line(4096, 'x');
  int written = 0;
  while (written < 100000 && sink.write(line)) ++written;
  CHECK(written < 100000);
}
