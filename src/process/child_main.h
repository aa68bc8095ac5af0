#pragma once
// How a child lives: it is named in the log, runs its body, and leaves without unwinding into what
// it inherited. Fork: after.

#include <functional>
#include <string_view>

#include "fleet/child_context.h"

namespace pgforeman {

/// Ends with code 0 after `body`. An exception that gets here is a bug or a lack of memory: it is
/// logged, and the child aborts, so that the supervisor replaces it.
[[noreturn]] void run_child(std::string_view role, int slot, const ChildContext& context,
                            const std::function<void()>& body) noexcept;

}  // namespace pgforeman
