#pragma once
// Logs the configuration at the start: without it, a fleet with a wrong queue, handler or database
// looks like an idle one. Fork: before.

#include <cstdint>

#include "options/options.h"

namespace pgforeman {

/// Logs version, queue, handler, concurrency, endpoint and the configured database; no secrets.
void log_start(const Options& options, std::uint16_t health_port);

}  // namespace pgforeman
