#pragma once
// Reads a small file completely.

#include <cstddef>
#include <string>

#include "text/parsed.h"

namespace pgforeman {

/// Returns the bytes of `path`, or the problem: "cannot be read: No such file or directory", "is a
/// directory", "is longer than 65536 bytes". Refuses all but regular files, as a pipe or a device
/// could block for ever.
Parsed<std::string> read_text_file(const std::string& path, std::size_t max_bytes);

}  // namespace pgforeman
