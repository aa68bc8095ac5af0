#include "handlers/pipe.h"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <system_error>
#include <utility>

namespace pgforeman {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kChunkBytes =
    std::size_t{64} * 1024;  // a pipe's usual capacity: one read empties it
// The most that drain() reads; a pipe of an unprivileged user holds at most 1 MiB.
constexpr std::size_t kDrainBytes = std::size_t{4} * 1024 * 1024;

}  // namespace

/// One end of a pipe in the event loop. Pending callbacks keep it alive.
struct PipeEnd {
  using Stream = asio::posix::stream_descriptor;
  using Error = boost::system::error_code;

  PipeEnd(asio::io_context& io, UniqueFd fd) : stream(io) {
    Error error;
    stream.assign(fd.get(), error);
    if (error) {
      throw std::system_error(error.value(), std::generic_category(), "cannot watch a pipe");
    }
    (void)fd.release();
    stream.non_blocking(true);
  }

  void close() {
    Error ignored;
    stream.close(ignored);
  }

  static bool is_for_now(const Error& error) {
    return error == asio::error::would_block || error == asio::error::interrupted;
  }

  Stream stream;
};

struct PipeReader::State : PipeEnd {
  State(asio::io_context& io, UniqueFd fd, OnData data, OnEnd end)
      : PipeEnd(io, std::move(fd)), on_data(std::move(data)), on_end(std::move(end)) {}

  /// Reads one chunk. Returns its size; 0 if nothing is available now or the pipe has ended.
  std::size_t read_once() {
    if (!stream.is_open()) return 0;
    std::array<char, kChunkBytes> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    Error error;
    const std::size_t bytes = stream.read_some(asio::buffer(chunk), error);
    if (bytes > 0) {
      on_data(std::string_view(chunk.data(), bytes));
    } else if (!is_for_now(error)) {
      close();
      if (on_end) on_end();
    }
    return bytes;
  }

  static void wait(const std::shared_ptr<State>& self) {
    self->stream.async_wait(Stream::wait_read, [self](const Error& error) {
      if (error) return;
      // Reads one chunk a turn, so that a handler that prints much does not delay timers.
      self->read_once();
      if (self->stream.is_open()) wait(self);
    });
  }

  OnData on_data;
  OnEnd on_end;
};

PipeReader::PipeReader(asio::io_context& io, UniqueFd fd, OnData on_data, OnEnd on_end)
    : state_(std::make_shared<State>(io, std::move(fd), std::move(on_data), std::move(on_end))) {
  State::wait(state_);
}

void PipeReader::drain() {
  const auto state = state_;  // a callback may destroy this reader
  for (std::size_t total = 0; total < kDrainBytes;) {
    const std::size_t bytes = state->read_once();
    if (bytes == 0) return;
    total += bytes;
  }
}

bool PipeReader::is_open() const {
  return state_->stream.is_open();
}

void PipeReader::close() {
  state_->close();
}

struct PipeWriter::State : PipeEnd {
  State(asio::io_context& io, UniqueFd fd, OnBroken callback)
      : PipeEnd(io, std::move(fd)), on_broken(std::move(callback)) {}

  /// Writes the bytes that fit now, and waits until the pipe takes the rest.
  static void write_some(const std::shared_ptr<State>& self) {
    Error error;
    while (!self->data.empty() && !error) {
      self->data.remove_prefix(self->stream.write_some(asio::buffer(self->data), error));
    }
    // Like all callbacks, on_broken is called from the event loop.
    self->broken = error && !is_for_now(error);
    if (error) return wait(self);
    if (self->closing) self->close();
  }

  static void wait(const std::shared_ptr<State>& self) {
    self->stream.async_wait(Stream::wait_write, [self](const Error& error) {
      if (error || !self->stream.is_open()) return;
      if (!self->broken) return write_some(self);
      // Unless closing, the pipe stays open, because unread() is still needed.
      if (self->closing) self->close();
      if (self->on_broken) self->on_broken();
    });
  }

  OnBroken on_broken;
  std::string_view data;
  bool closing = false;
  bool broken = false;
};

PipeWriter::PipeWriter(asio::io_context& io, UniqueFd fd, OnBroken on_broken)
    : state_(std::make_shared<State>(io, std::move(fd), std::move(on_broken))) {}

void PipeWriter::write(std::string_view data) {
  if (!state_->stream.is_open() || state_->broken) return;
  state_->data = data;
  State::write_some(state_);
}

void PipeWriter::close_when_written() {
  state_->closing = true;
  if (state_->data.empty()) state_->close();
}

std::size_t PipeWriter::unwritten() const {
  return state_->data.size();
}

std::size_t PipeWriter::unread() const {
  PipeEnd::Stream::bytes_readable bytes;
  PipeEnd::Error ignored;
  state_->stream.io_control(bytes, ignored);
  return bytes.get();
}

void PipeWriter::close() {
  state_->close();
  state_->data = {};
}

}  // namespace pgforeman
