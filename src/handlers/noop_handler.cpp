// A handler without a program: every message is done at once.

#include <memory>

#include "handlers/handler.h"

namespace pgforeman {
namespace {

class NoopHandler final : public Handler {
 public:
  void open() override {}
  void run(const Message&, Done done) override { done(Outcome{Outcome::Kind::done}); }
  void stop(StopReason, Millis) override {}  // every run has ended before a stop can come
  void close() override {}
  int failed_starts() const override { return 0; }
};

}  // namespace

std::unique_ptr<Handler> make_noop_handler() {
  return std::make_unique<NoopHandler>();
}

}  // namespace pgforeman
