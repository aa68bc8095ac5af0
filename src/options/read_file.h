#pragma once
// Reads a small file whole.

#include <cstddef>
#include <string>

#include "text/parsed.h"

namespace pgforeman {

/// The bytes of `path`, or what is wrong: "cannot be read: No such file or directory", "is a
/// directory", "is longer than 65536 bytes". A path that is no regular file is read to its end
/// only when that cannot block for ever (a pipe or a device is refused).
Parsed<std::string> read_text_file(const std::string& path, std::size_t max_bytes);

}  // namespace pgforeman
