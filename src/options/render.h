#pragma once
// What is printed about options, made from the table. The generated files are committed;
// `tools/generate` refreshes them and a test fails while one is stale. `pgforeman COMMAND --help`
// is options_help() of load.h.

#include <cstddef>
#include <string>
#include <string_view>

namespace pgforeman {

std::string render_sample_env();   ///< sample.env
std::string render_config_file();  ///< config/pgforeman.conf
std::string render_settings();     ///< docs/configuration.md from "## Settings" on

/// Breaks `text` at blanks into lines of at most `width` characters, each after `indent`. A word
/// that is longer stands alone.
std::string wrapped(std::string_view text, std::string_view indent, std::size_t width);

}  // namespace pgforeman
