#pragma once
// Reads the rows that the queue's functions return. For this directory only.

#include <pqxx/result>
#include <pqxx/row>
#include <span>
#include <string>
#include <vector>

#include "fleet/claimed_message.h"
#include "queue/results.h"

namespace pgforeman {

/// The columns that message_of() reads.
extern const std::string kMessageColumns;
inline constexpr int kMessageColumnCount = 6;
/// The columns that messages_of() reads: those, payload and headers.
extern const std::string kClaimedColumns;

/// Returns a message without its payload.
ClaimedMessage message_of(const pqxx::row& row);

/// Returns the messages of a claim, in the order in which they run.
std::vector<ClaimedMessage> messages_of(const pqxx::result& rows);

/// Reads the six figures of pgforeman.counts, from column `first` on.
QueueCounts counts_of(const pqxx::row& row, int first);

/// Reads refused, states and refusal, from column `first` on. `any_worked`: not all were refused.
Refused refused_of(const pqxx::row& row, int first, bool any_worked);

/// Reads next_due_us and at_us, the first two columns.
ServerTimes times_of(const pqxx::row& row);

/// Ranges of places as two arrays, for a call.
struct RangesText {
  explicit RangesText(std::span<const PlaceRange> ranges);
  std::string above, upto;
};

}  // namespace pgforeman
