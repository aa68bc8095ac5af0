#include "handlers/consumer_loop.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "support/catch.h"

namespace pgforeman::test {
namespace {

constexpr Millis kPatience{20000};

struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "pgforeman-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
    owner = ::getpid();
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    if (::getpid() == owner) std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
  pid_t owner;
};

}  // namespace

std::vector<std::string> shell(const std::string& script) {
  return {"/bin/sh", "-c", script};
}

std::vector<std::string> path_only() {
  const char* path = std::getenv("PATH");
  return {std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin")};
}

Message message(std::int64_t id, std::string payload) {
  Message m;
  m.id = id;
  m.attempt = 2;
  m.fence = 5;
  m.enqueued_at += std::chrono::microseconds{1714979289123456};
  m.payload = std::move(payload);
  m.headers = R"({"trace": "abc"})";
  return m;
}

HandlerSettings settings(std::vector<std::string> argv, Millis timeout, Millis kill_grace) {
  return {std::move(argv), path_only(), "emails", timeout, kill_grace};
}

std::string fresh_path(const std::string& name) {
  static const TemporaryFolder folder;
  static int count = 0;
  return (folder.path / (std::to_string(++count) + "-" + name)).string();
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string wait_for_line(const std::string& path) {
  std::string text;
  const bool came = eventually([&] {
    text = read_file(path);
    return text.find('\n') != std::string::npos;
  });
  INFO("waiting for a line in " << path);
  REQUIRE(came);
  return text.substr(0, text.find('\n'));
}

bool is_alive(pid_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t paren = stat.rfind(')');
  return paren != std::string::npos && stat[paren + 2] != 'Z' && stat[paren + 2] != 'X';
}

bool eventually(const std::function<bool()>& condition) {
  const TimePoint give_up = Clock::now() + kPatience;
  while (!condition()) {
    if (Clock::now() > give_up) return false;
    ::poll(nullptr, 0, 2);  // between two checks
  }
  return true;
}

std::size_t open_descriptors() {
  const auto entries = std::filesystem::directory_iterator("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

ConsumerLoop::ConsumerLoop() : signals_(io) {
  ::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t mask;
  ::sigemptyset(&mask);
  ::sigaddset(&mask, SIGCHLD);
  ::sigaddset(&mask, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &mask, &mask_before_);
  signals_.assign(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  watch_children();
}

ConsumerLoop::~ConsumerLoop() {
  handler.reset();
  kill_orphans({});
  ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

Outcome ConsumerLoop::handle(const Message& message) {
  start(message);
  return finish();
}

void ConsumerLoop::start(const Message& message) {
  outcome_.reset();
  done_calls_ = 0;
  running_ = message;
  handler->open();
  handler->run(running_, [this](Outcome outcome) {
    ++done_calls_;
    outcome_ = std::move(outcome);
  });
}

Outcome ConsumerLoop::finish() {
  until([this] { return outcome_.has_value(); });
  io.poll();
  CHECK(done_calls_ == 1);
  return *outcome_;
}

void ConsumerLoop::until(const std::function<bool()>& condition) {
  const TimePoint give_up = Clock::now() + kPatience;
  while (!condition()) {
    REQUIRE(Clock::now() < give_up);
    io.restart();
    io.run_one_for(Millis{5});
  }
}

void ConsumerLoop::watch_children() {
  signals_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this](const boost::system::error_code& error) {
                        if (error) return;
                        signalfd_siginfo info{};
                        while (::read(signals_.native_handle(), &info, sizeof info) > 0) {
                        }
                        reap();
                        watch_children();
                      });
}

void ConsumerLoop::reap() {
  while (const auto exit = reap_one()) {
    if (!handler || !handler->on_exit(*exit)) unknown_exits.push_back(*exit);
  }
}

}  // namespace pgforeman::test
