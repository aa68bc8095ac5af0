#pragma once
// What is printed about options, made from the table. The generated files are committed;
// `tools/generate` refreshes them and a test fails while one is stale.

#include <cstddef>
#include <string>
#include <string_view>

#include "options/table.h"

namespace pgforeman {

std::string render_sample_env();     ///< sample.env
std::string render_config_file();    ///< config/pgforeman.conf
std::string render_configuration();  ///< docs/configuration.md

/// Columns of what is rendered as plain text.
constexpr std::size_t kRenderWidth = 100;

/// Breaks `text` at blanks into lines of at most `width` characters, each after `indent`. A word
/// that is longer stands alone.
std::string wrapped(std::string_view text, std::string_view indent, std::size_t width);

/// What holds when the option is not given: "5m", "none", "the CPUs ...".
std::string default_of(const Option& option);

}  // namespace pgforeman
