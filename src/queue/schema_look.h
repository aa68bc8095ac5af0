#pragma once
// Whether an error of the database is about the schema and the role, or about what was to be done.
// A trigger or constraint on the queue's tables may raise any error, also those by which a missing
// schema or right is known.

#include "queue/connection.h"

namespace pgforeman {

/// True when the schema is this binary's, the session may write, and the role has the rights that a
/// fleet needs. One look at the catalog; throws only DatabaseError::connection.
bool schema_and_rights_stand(Connection& connection);

}  // namespace pgforeman
