#include "supervisor/start_log.h"

#include <stdexcept>

#include "options/conninfo.h"
#include "options/value.h"
#include "pgforeman/version.h"
#include "system/log.h"

namespace pgforeman {

void log_start(const Options& options, std::uint16_t health_port) {
  DatabasePlace place;
  try {
    place = database_place(resolve_conninfo(options));
  } catch (const std::runtime_error&) {
    // The file with the address was removed after its check: the children report that and retry.
  }
  const std::string handler = shown_handler(options);
  log::info("fleet starts", {{"version", kVersion},
                             {"queue", options.queue},
                             {"handler", handler},
                             {"handler_mode", to_string(options.handler_mode)},
                             {"concurrency", options.concurrency},
                             {"database_host", place.host},
                             {"database_port", place.port},
                             {"database", place.name},
                             {"health_address", options.health_address},
                             {"health_port", health_port}});
}

}  // namespace pgforeman
