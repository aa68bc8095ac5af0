#pragma once
// How tests start a server that refuses to be root: PostgreSQL, PgBouncer.

#include <pwd.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace pgforeman::test {

/// The user that runs servers: this one (null), or for root another one. Throws std::runtime_error
/// when there is none.
const passwd* server_user();

/// Forks and runs `words` as that user, output into `log`. Dies with this process; the caller
/// reaps.
pid_t spawn_server(const std::vector<std::string>& words, const std::string& log);

/// A port of loopback that was free a moment ago.
int free_port();

}  // namespace pgforeman::test
