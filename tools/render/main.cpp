// Prints a generated file, or the generated part of one: render_options NAME.

#include <cstdio>
#include <string>
#include <string_view>

#include "render.h"

int main(int argc, char** argv) {
  const std::string_view name = argc == 2 ? argv[1] : "";
  const std::string text = name == "sample.env"              ? pgforeman::render_sample_env()
                           : name == "config/pgforeman.conf" ? pgforeman::render_config_file()
                           : name == "docs/configuration.md" ? pgforeman::render_settings()
                                                             : std::string();
  if (text.empty()) {
    std::fputs("usage: render_options sample.env|config/pgforeman.conf|docs/configuration.md\n",
               stderr);
    return 64;
  }
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0 ? 0 : 1;
}
