#include "text/conninfo_values.h"

#include <libpq-fe.h>

#include <memory>

namespace pgforeman {
namespace {

using Options = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>;

ConninfoValues values_of(const Options& options) {
  ConninfoValues values;
  for (const auto* option = options.get(); option != nullptr && option->keyword != nullptr;
       ++option) {
    if (option->val != nullptr) values[option->keyword] = option->val;
  }
  return values;
}

}  // namespace

std::optional<ConninfoValues> parse_conninfo(const std::string& conninfo) {
  char* message = nullptr;
  const Options options(::PQconninfoParse(conninfo.c_str(), &message), ::PQconninfoFree);
  ::PQfreemem(message);
  if (!options) return std::nullopt;
  return values_of(options);
}

bool is_conninfo_keyword(const std::string& word) {
  return parse_conninfo(word + "=''").has_value();
}

ConninfoValues conninfo_defaults() {
  return values_of(Options(::PQconndefaults(), ::PQconninfoFree));
}

std::string conninfo_text(const ConninfoValues& values) {
  std::string text;
  for (const auto& [keyword, value] : values) {
    text += (text.empty() ? "" : " ") + keyword + "='";
    for (const char c : value) {
      if (c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += '\'';
  }
  return text;
}

}  // namespace pgforeman
