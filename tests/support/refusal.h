#pragma once
// Lets the database refuse what a fleet does with some messages, as a tenant's trigger or a broken
// function may.

#include "support/postgres.h"

namespace pgforeman::test {

/// What is refused.
enum class RefusedCall { claim, settle, bury, promote, sweep, renew, count };

/// All of them, in order.
inline constexpr RefusedCall kRefusedCalls[] = {
    RefusedCall::claim, RefusedCall::settle, RefusedCall::bury, RefusedCall::promote,
    RefusedCall::sweep, RefusedCall::renew,  RefusedCall::count};

const char* to_string(RefusedCall what);

/// Refuses it for messages with a text "stuck" in their payload, which is the SQLSTATE of the
/// error. (RefusedCall::count: each count fails with the first one's while there is one.) Call once
/// a database.
void refuse(Sql& sql, RefusedCall what);

}  // namespace pgforeman::test
