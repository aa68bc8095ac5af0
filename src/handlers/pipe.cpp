#include "handlers/pipe.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

namespace pgforeman {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kChunkBytes =
    std::size_t{64} * 1024;  // a pipe's usual capacity: one read empties it
// What a pipe can hold at most for an unprivileged user is 1 MiB.
constexpr std::size_t kDrainBytes = std::size_t{4} * 1024 * 1024;

asio::posix::stream_descriptor watch(asio::io_context& io, UniqueFd fd) {
  asio::posix::stream_descriptor stream(io);
  boost::system::error_code error;
  stream.assign(fd.get(), error);
  if (error) {
    throw std::system_error(error.value(), std::generic_category(), "cannot watch a pipe");
  }
  (void)fd.release();
  return stream;
}

/// read(2) and write(2) that try again after a signal.
template <typename Call>
ssize_t retry_interrupted(Call call) {
  ssize_t n = 0;
  do {
    n = call();
  } while (n < 0 && errno == EINTR);
  return n;
}

bool would_block() {
  return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

struct PipeReader::State : std::enable_shared_from_this<State> {
  State(asio::io_context& io, UniqueFd fd, OnData data, OnEnd end)
      : stream(watch(io, std::move(fd))), on_data(std::move(data)), on_end(std::move(end)) {}

  enum class Progress { read, empty, ended };

  Progress read_once() {
    std::array<char, kChunkBytes> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    const ssize_t n = retry_interrupted(
        [&] { return ::read(stream.native_handle(), chunk.data(), chunk.size()); });
    if (n < 0 && would_block()) return Progress::empty;
    if (n <= 0) {
      close();
      if (on_end) on_end();
      return Progress::ended;
    }
    on_data(std::string_view(chunk.data(), static_cast<std::size_t>(n)));
    last_read = static_cast<std::size_t>(n);
    return Progress::read;
  }

  void wait() {
    stream.async_wait(asio::posix::stream_descriptor::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (error || !self->stream.is_open()) return;
                        // One chunk a turn, so that a chatty handler leaves timers their turn.
                        self->read_once();
                        if (self->stream.is_open()) self->wait();
                      });
  }

  void close() {
    boost::system::error_code ignored;
    stream.close(ignored);
  }

  asio::posix::stream_descriptor stream;
  OnData on_data;
  OnEnd on_end;
  std::size_t last_read = 0;
};

PipeReader::PipeReader(asio::io_context& io, UniqueFd fd, OnData on_data, OnEnd on_end)
    : state_(std::make_shared<State>(io, std::move(fd), std::move(on_data), std::move(on_end))) {
  state_->wait();
}

PipeReader::~PipeReader() {
  close();
}

void PipeReader::drain() {
  const auto state = state_;  // a callback may destroy this reader
  std::size_t total = 0;
  while (state->stream.is_open() && total < kDrainBytes) {
    if (state->read_once() != State::Progress::read) break;
    total += state->last_read;
  }
}

bool PipeReader::is_open() const {
  return state_ && state_->stream.is_open();
}

void PipeReader::close() {
  if (state_) state_->close();
}

struct PipeWriter::State : std::enable_shared_from_this<State> {
  State(asio::io_context& io, UniqueFd fd, OnBroken callback)
      : stream(watch(io, std::move(fd))), on_broken(std::move(callback)) {}

  /// Writes what fits now, and asks to be called again for the rest.
  void write_some() {
    while (!data.empty()) {
      const ssize_t n = retry_interrupted(
          [&] { return ::write(stream.native_handle(), data.data(), data.size()); });
      if (n < 0) {
        // A broken pipe is told from the loop, like whatever else a process does.
        broken = !would_block();
        return wait();
      }
      data.remove_prefix(static_cast<std::size_t>(n));
    }
    if (closing) close();
  }

  void wait() {
    stream.async_wait(asio::posix::stream_descriptor::wait_write,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (error || !self->stream.is_open()) return;
                        if (!self->broken) return self->write_some();
                        // Stays open: what was not read is still to be counted.
                        if (self->closing) self->close();
                        if (self->on_broken) self->on_broken();
                      });
  }

  void close() {
    boost::system::error_code ignored;
    stream.close(ignored);
    data = {};
  }

  asio::posix::stream_descriptor stream;
  OnBroken on_broken;
  std::string_view data;
  bool closing = false;
  bool broken = false;
};

PipeWriter::PipeWriter(asio::io_context& io, UniqueFd fd, OnBroken on_broken)
    : state_(std::make_shared<State>(io, std::move(fd), std::move(on_broken))) {}

PipeWriter::~PipeWriter() {
  close();
}

void PipeWriter::write(std::string_view data) {
  if (!state_->stream.is_open() || state_->broken) return;
  state_->data = data;
  state_->write_some();
}

void PipeWriter::close_when_written() {
  state_->closing = true;
  if (state_->data.empty()) state_->close();
}

std::size_t PipeWriter::unwritten() const {
  return state_->data.size();
}

std::size_t PipeWriter::unread() const {
  int bytes = 0;
  if (!state_->stream.is_open() || ::ioctl(state_->stream.native_handle(), FIONREAD, &bytes) != 0 ||
      bytes < 0) {
    return 0;
  }
  return static_cast<std::size_t>(bytes);
}

void PipeWriter::close() {
  if (state_) state_->close();
}

}  // namespace pgforeman
