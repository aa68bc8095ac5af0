#include "text/words.h"

namespace pgforeman {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

// Inside double quotes a backslash escapes only these; before any other character it is kept.
bool is_special_in_double_quotes(char c) {
  return c == '"' || c == '\\' || c == '$' || c == '`';
}

}  // namespace

Parsed<std::vector<std::string>> split_words(std::string_view text) {
  using Result = Parsed<std::vector<std::string>>;
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;  // true also for an empty quoted word
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'') {
      if (i + 1 == text.size()) return Result::wrong("ends in a backslash with nothing after it");
      const char next = text[++i];
      if (next == '\n') continue;  // a continued line
      if (quote == '"' && !is_special_in_double_quotes(next)) word += c;
      word += next;
      in_word = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
      in_word = true;
    } else if (is_blank(c)) {
      if (in_word) words.push_back(std::move(word));
      word.clear();
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != '\0') {
    return Result::wrong(std::string("has a ") + (quote == '"' ? "double" : "single") +
                         " quote that is never closed");
  }
  if (in_word) words.push_back(std::move(word));
  return Result::ok(std::move(words));
}

}  // namespace pgforeman
