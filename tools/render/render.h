#pragma once
// Makes files about options from their table. They are committed; `tools/generate` refreshes them,
// and a test fails while one is outdated.

#include <string>

namespace pgforeman {

std::string render_sample_env();   ///< sample.env
std::string render_config_file();  ///< config/pgforeman.conf
std::string render_settings();     ///< docs/configuration.md from "## Settings" on

}  // namespace pgforeman
