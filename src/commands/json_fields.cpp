#include "commands/json_fields.h"

#include "commands/text_table.h"
#include "text/terminal_text.h"

namespace pgforeman {

const Json& field(const Json& object, const char* key) {
  static const Json kNothing;
  const auto found = object.find(key);
  return found != object.end() ? *found : kNothing;
}

double number(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_number() ? value.get<double>() : 0.0;
}

std::int64_t integer(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

bool flag(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_boolean() && value.get<bool>();
}

std::string raw_text(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string words(const Json& object, const char* key) {
  return printable(raw_text(object, key));
}

Json member(const Json& object, const char* key) {
  const Json& value = field(object, key);
  return value.is_object() ? value : Json::object();
}

std::string safe_dump(const Json& json) {
  return terminal_json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace pgforeman
