#include "process/child_main.h"

#include <unistd.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#include <cstdlib>
#include <exception>
#include <new>

#include "system/log.h"

namespace pgforeman {

void run_child(std::string_view role, int slot, const ChildContext& context,
               const std::function<void()>& body) noexcept {
  log::identify(role, slot, context.epoch);
  try {
    body();
  } catch (const std::bad_alloc&) {
    log::error("child ends: out of memory");
    std::abort();
  } catch (const std::exception& error) {
    log::error("child ends: this is a bug", {{"error", error.what()}});
    std::abort();
  }
#ifdef __SANITIZE_ADDRESS__
  // _exit does not check for leaks, and exit would do the supervisor's part in its child.
  if (__lsan_do_recoverable_leak_check() != 0) ::_exit(EXIT_FAILURE);
#endif
  ::_exit(EXIT_SUCCESS);
}

}  // namespace pgforeman
