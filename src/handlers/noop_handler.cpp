// No handler: every message is done at once.

#include <memory>
#include <utility>
#include <vector>

#include "handlers/handler.h"
#include "handlers/outcome.h"

namespace pgforeman {
namespace {

class NoopHandler final : public Handler {
 public:
  explicit NoopHandler(boost::asio::io_context& io) : delivery_(io) {}

  void open() override {}
  void run(const Message&, Done done) override {
    delivery_.deliver(std::move(done), Outcome{Outcome::Kind::done});
  }
  void stop(StopReason, Millis) override {}  // it is done before anybody could ask
  bool on_exit(const ChildExit&) override { return false; }
  void close() override {}
  std::vector<pid_t> pids() const override { return {}; }
  int failed_starts() const override { return 0; }

 private:
  Delivery delivery_;
};

}  // namespace

std::unique_ptr<Handler> make_noop_handler(boost::asio::io_context& io) {
  return std::make_unique<NoopHandler>(io);
}

}  // namespace pgforeman
