// Words of a command line, lines of a config file, and values: durations, sizes, numbers, names.

#include <cstdint>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/must.h"
#include "options/command_line.h"
#include "options/config_file.h"
#include "options/table.h"
#include "options/value.h"
#include "text/quantity.h"

using namespace pgforeman;
using pgforeman::test::must;

namespace {

void values(std::string_view text) {
  if (const auto duration = parse_duration(text)) {
    const auto again = parse_duration(format_duration(*duration.value));
    must(again && *again.value == *duration.value, "a duration prints as itself");
  }
  if (const auto size = parse_byte_size(text)) {
    const auto again = parse_byte_size(format_byte_size(*size.value));
    must(again && *again.value == *size.value, "a size prints as itself");
  }
  Options options;
  for (const Option& option : option_table()) {
    const auto problem = set_value(option, text, options);
    must(!problem || !problem->empty(), "what is refused has a reason");
  }
  for (const char letter : shown(text)) {
    must(static_cast<unsigned char>(letter) >= 0x20 && letter != 0x7f,
         "what is shown is printable");
  }
}

void words(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ' ');) all.push_back(word);
  std::vector<const char*> args;
  for (const std::string& word : all) args.push_back(word.c_str());
  const std::vector<CommandFlag> flags{{"json", "", ""}, {"limit", "N", ""}};
  for (const Command command : {Command::run, Command::dead}) {
    const CommandLine line = split_command_line(command, args, flags);
    for (const auto& error : line.errors) must(!error.empty(), "a mistake is named");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  values(text);
  words(text);
  const ConfigFile file = parse_config_file(text, "file");
  for (const auto& error : file.errors) {
    must(error.rfind("file", 0) == 0, "a mistake of a file names it");
  }
  for (const ConfigLine& line : file.lines) must(line.number > 0, "a line has its number");
  return 0;
}
