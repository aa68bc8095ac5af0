#pragma once
// A consumer's claim from its begin until its answer. If the answer never comes the claim is in
// doubt: the server may have executed it, so its messages are released by its token. Owned by one
// consumer. Fork: after.

#include <optional>
#include <string>

#include "consumer/tools.h"

namespace pgforeman {

class OpenClaim {
 public:
  explicit OpenClaim(const ConsumerTools& tools) : tools_(tools) {}

  /// Call before the claim is sent; writes it into the ledger.
  void begin(const Claim& claim);
  /// Its messages are in the batch.
  void answered() { open_.reset(); }
  /// The server rolled it back, so it holds nothing.
  void rolled_back();
  /// The answer came, but could not be read (no memory, say).
  void unreadable(std::string error) { error_ = std::move(error); }
  bool is_open() const { return open_.has_value(); }

  /// Releases the messages of claims in doubt: the open claim's at once, and once more 13 s later,
  /// as the server may have executed it after the first release. Throws DatabaseError if a new
  /// session may succeed.
  void release_in_doubt(TimePoint now);
  /// When the second release is due; max if none is.
  TimePoint second_release_at() const { return late_ ? late_->at : TimePoint::max(); }
  /// At the end of a drain: maintenance makes the second release.
  void leave_to_maintenance();

 private:
  struct Late {
    Claim claim;
    TimePoint at;
  };

  void release_open();
  void release_again();

  const ConsumerTools& tools_;
  std::optional<Claim> open_;
  std::string error_;         ///< why the open claim's answer could not be read
  std::optional<Late> late_;  ///< to release a second time
};

}  // namespace pgforeman
