#pragma once
// The consumer's ends of a handler's pipes, on the consumer's io_context. Reader and writer own
// their descriptor and never block. They call no callback after close() or destruction; a callback
// may close or destroy its object. Fork: after.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "system/fd.h"

namespace pgforeman {

/// Reads a pipe as it fills. Throws std::system_error if the event loop cannot watch the pipe.
class PipeReader {
 public:
  using OnData = std::function<void(std::string_view)>;
  using OnEnd = std::function<void()>;

  /// `on_end` is called once at the end of the stream; the reader is closed by then.
  PipeReader(boost::asio::io_context& io, UniqueFd fd, OnData on_data, OnEnd on_end = {});
  ~PipeReader() { close(); }
  PipeReader(const PipeReader&) = delete;
  PipeReader& operator=(const PipeReader&) = delete;

  /// Reads the available bytes without waiting, but only a few MiB: a process that still writes
  /// must not hold the caller.
  void drain();
  [[nodiscard]] bool is_open() const;
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Writes to a pipe as it empties.
class PipeWriter {
 public:
  using OnBroken = std::function<void()>;

  /// `on_broken` is called once if bytes are unwritten and no process can read them any more.
  /// Nothing is written after that. It is never called from within write().
  PipeWriter(boost::asio::io_context& io, UniqueFd fd, OnBroken on_broken = {});
  ~PipeWriter() { close(); }
  PipeWriter(const PipeWriter&) = delete;
  PipeWriter& operator=(const PipeWriter&) = delete;

  /// Writes `data`, which must live until written or the writer is closed. One call at a time.
  void write(std::string_view data);
  /// Closes the pipe when everything is written, so that the process sees the end of its input.
  void close_when_written();
  /// Returns the number of bytes passed to write() that are not in the pipe yet.
  [[nodiscard]] std::size_t unwritten() const;
  /// Returns the number of bytes in the pipe that were not read yet; 0 if unknown.
  [[nodiscard]] std::size_t unread() const;
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pgforeman
