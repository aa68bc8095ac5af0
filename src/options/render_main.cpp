// render_options NAME: one of the generated files, on standard output.

#include <cstdio>
#include <cstring>
#include <string>

#include "options/render.h"

int main(int argc, char** argv) {
  const char* name = argc == 2 ? argv[1] : "";
  std::string text;
  if (std::strcmp(name, "sample.env") == 0) {
    text = pgforeman::render_sample_env();
  } else if (std::strcmp(name, "config/pgforeman.conf") == 0) {
    text = pgforeman::render_config_file();
  } else if (std::strcmp(name, "docs/configuration.md") == 0) {
    text = pgforeman::render_configuration();
  } else {
    std::fputs("usage: render_options sample.env|config/pgforeman.conf|docs/configuration.md\n",
               stderr);
    return 64;
  }
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return written && std::fflush(stdout) == 0 ? 0 : 1;
}
