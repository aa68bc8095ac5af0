#include "text/utf8.h"

#include <algorithm>
#include <boost/locale/utf.hpp>

namespace pgforeman {

Utf8Character utf8_character(std::string_view text) {
  namespace utf = boost::locale::utf;
  const char* at = text.data();
  const utf::code_point code = utf::utf_traits<char>::decode(at, text.data() + text.size());
  if (code == utf::illegal || code == utf::incomplete) return {};
  return {static_cast<std::size_t>(at - text.data()), code};
}

std::string_view utf8_prefix(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && !starts_character(text[limit])) --limit;
  return text.substr(0, limit);
}

std::string to_valid_utf8(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  while (!text.empty()) {
    const std::size_t bytes = utf8_character(text).bytes;
    clean += bytes == 0 ? kReplacement : text.substr(0, bytes);
    text.remove_prefix(std::max<std::size_t>(1, bytes));
  }
  return clean;
}

}  // namespace pgforeman
