#pragma once
// Decides where to look below the low-water marks for messages that became claimable there:
//   what the marks have passed since the last look
//   what may have been committed late: above the bases of transactions that have ended
//   the buckets (ranges of places) in which the last looks found messages, mostly leased ones: when
//   a lease ends, and each second, as they are also counted
// Every message below a mark is in one of these, or in a transaction that is still open. So a pass
// over all places is only needed at the start, and each ten minutes in case of rows that other
// hands than the queue's functions have written. Pure.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "maintenance/place_set.h"
#include "maintenance/writer_log.h"
#include "queue/results.h"
#include "system/clock.h"

namespace pgforeman {

class LookPlan {
 public:
  /// Buckets have 2^bucket_bits places.
  explicit LookPlan(int bucket_bits) : bits_(bucket_bits) {}

  /// Takes the marks, and what a view of the writers that was made after it said.
  void add(const WriterLog::News& writers, const Marks& marks);
  /// Adds the last `numbers` below the marks of the last add(); all without it.
  void add_last(std::optional<std::int64_t> numbers = {});
  /// Treats a mark as passed up to there, where no message is visible: see the marks of add().
  void skip(std::size_t lane, std::int64_t number);

  /// Returns what to look at next, about `most` places; empty: nothing for now. Each range is whole
  /// buckets, but for one that a mark is in. Followed by looked(), or by next() if the look failed.
  std::vector<PlaceRange> next(std::int64_t most, TimePoint now);
  void looked(std::span<const PlaceRange> ranges, const Sweep& found, TimePoint now);
  /// Returns when next() has something to look at; max: not before add().
  TimePoint due() const;

  int bucket_bits() const { return bits_; }
  /// The marks of the last add().
  const Marks& marks() const { return marks_; }
  /// How many leased messages are below them.
  std::int64_t leased() const;

  void start_over();

 private:
  struct Bucket {
    std::int64_t leased = 0;
    TimePoint due;
  };

  void add(std::size_t lane, std::int64_t above);
  PlaceRange whole_buckets(std::int64_t first, std::int64_t last) const;

  int bits_;
  Marks marks_{};
  PlaceSet urgent_, rest_;
  std::map<std::int64_t, Bucket> buckets_;
};

}  // namespace pgforeman
