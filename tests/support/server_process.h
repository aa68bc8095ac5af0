#pragma once
// Starts servers that refuse to run as root: PostgreSQL, PgBouncer.

#include <pwd.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace pgforeman::test {

/// Returns the user to run servers as: null for the current user; for root, another user. Throws
/// std::runtime_error if root finds no other user.
const passwd* server_user();

/// Forks and runs `words` as server_user(), with its output in `log`. The server dies with this
/// process; the caller reaps it.
pid_t spawn_server(const std::vector<std::string>& words, const std::string& log);

/// Returns a loopback port that was free a moment ago.
int free_port();

}  // namespace pgforeman::test
