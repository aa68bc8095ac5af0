#pragma once
// The line that says what runs: without it a fleet on the wrong queue, handler or database looks
// like one that has nothing to do. Fork: before.

#include <cstdint>

#include "options/options.h"

namespace pgforeman {

/// Logs version, queue, handler, children, endpoint and the database that was configured; no
/// secret.
void log_start(const Options& options, std::uint16_t health_port);

}  // namespace pgforeman
