#pragma once
// The consumer's ends of a handler's pipes, on its io_context. Both own their descriptor, never
// block, and call back nothing after close() or destruction; a callback may do either. Fork: after.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>

#include "system/fd.h"

namespace pgforeman {

/// Reads a pipe as it fills. Throws std::system_error when the loop cannot watch it.
class PipeReader {
 public:
  using OnData = std::function<void(std::string_view)>;
  using OnEnd = std::function<void()>;

  /// `on_end` is called once at the end of the stream; the reader is closed by then.
  PipeReader(boost::asio::io_context& io, UniqueFd fd, OnData on_data, OnEnd on_end = {});
  ~PipeReader() { close(); }
  PipeReader(const PipeReader&) = delete;
  PipeReader& operator=(const PipeReader&) = delete;

  /// Reads what is there now without waiting, but no more than some MiB: a writer that is still
  /// alive must not hold the caller.
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

  /// `on_broken` is called once when no process can read any more and something is unwritten;
  /// nothing more is written then. Never called from within write().
  PipeWriter(boost::asio::io_context& io, UniqueFd fd, OnBroken on_broken = {});
  ~PipeWriter() { close(); }
  PipeWriter(const PipeWriter&) = delete;
  PipeWriter& operator=(const PipeWriter&) = delete;

  /// Writes `data`, which must live until it is written or the writer is closed. One at a time.
  void write(std::string_view data);
  /// Closes as soon as everything is written: the reader sees the end of its input.
  void close_when_written();
  /// Bytes given to write() that are not in the pipe yet.
  [[nodiscard]] std::size_t unwritten() const;
  /// Bytes in the pipe that were not read yet; 0 if unknown.
  [[nodiscard]] std::size_t unread() const;
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace pgforeman
