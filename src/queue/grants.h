#pragma once
// The rights that a role needs for its part, and no others. Fork: either.

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
  monitor,   ///< counts, and reads everything but what messages carry and their errors
};

struct PartName {
  std::string_view name;
  Part part;
};
inline constexpr std::array kParts = {
    PartName{"producer", Part::producer}, PartName{"worker", Part::worker},
    PartName{"operator", Part::operate}, PartName{"monitor", Part::monitor}};

std::optional<Part> part_of(std::string_view name);

/// Those rights as statements of one transaction, for a person or psql. Throws DatabaseError.
std::string grants_script(Connection& connection, const std::string& role, Part part);

/// Grants them, all or nothing; every replica may do so at once. Throws DatabaseError, also if
/// there is no such role or the connection's own role may not grant all of it. So it does if row
/// level security would hide rows from the role all the same.
void grant(Connection& connection, const std::string& role, Part part);

}  // namespace pgforeman
