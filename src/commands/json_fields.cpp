#include "commands/json_fields.h"

#include "base/terminal_text.h"
#include "commands/text_table.h"

namespace pgforeman {

double number(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0.0;
}

long long integer(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<long long>() : 0;
}

bool flag(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::string raw_words(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string words(const Json& object, const char* key) {
  return printable(raw_words(object, key));
}

Json member(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_object() ? *found : Json::object();
}

std::string json_text(const std::string& text) {
  return safe_dump(Json(text));
}

std::string safe_dump(const Json& json) {
  return terminal_json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace pgforeman
