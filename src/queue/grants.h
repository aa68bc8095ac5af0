#pragma once
// Grants a role the rights that its part needs, and no others. Fork: either.

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "queue/connection.h"

namespace pgforeman {

/// What a role does with the queue.
enum class Part {
  producer,  ///< sends: may execute the send functions, and has no right on any table
  worker,    ///< runs a fleet; also sends and works on dead letters
  operate,   ///< sends, reads messages, works on dead letters; cannot claim
  monitor,   ///< counts; reads all but tokens, payloads, headers, errors and histories
};

struct PartName {
  std::string_view name;
  Part part;
};
inline constexpr std::array kParts = {
    PartName{"producer", Part::producer}, PartName{"worker", Part::worker},
    PartName{"operator", Part::operate}, PartName{"monitor", Part::monitor}};

std::optional<Part> part_of(std::string_view name);

/// Returns the grants as SQL text of one transaction, for a person or psql. Throws DatabaseError.
std::string grants_script(Connection& connection, const std::string& role, Part part);

/// Grants the rights, all or nothing; every replica may do so at once. Throws DatabaseError if the
/// role does not exist, has rights of another part, or would not see all rows because of row
/// level security. Also throws if the connection's role may not grant all of it.
void grant(Connection& connection, const std::string& role, Part part);

}  // namespace pgforeman
