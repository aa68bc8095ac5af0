#include "support/prometheus_text.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <set>
#include <stdexcept>

#include "text/utf8.h"

namespace pgforeman::test {
namespace {

bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}

/// One line, read from its front.
class Cursor {
 public:
  explicit Cursor(std::string_view line) : line_(line), rest_(line) {}

  [[noreturn]] void fail(const std::string& why) const {
    throw std::runtime_error(why + " in '" + std::string(line_) + "'");
  }
  bool done() const { return rest_.empty(); }
  char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  void expect(std::string_view text) {
    if (rest_.substr(0, text.size()) != text) fail("no '" + std::string(text) + "'");
    rest_.remove_prefix(text.size());
  }
  std::string name(bool colons) {
    std::size_t n = 0;
    while (n < rest_.size() &&
           (letter(rest_[n]) || (colons && rest_[n] == ':') || (n > 0 && digit(rest_[n])))) {
      ++n;
    }
    if (n == 0) fail("no name");
    return take(n);
  }
  std::string quoted() {
    expect("\"");
    std::string value;
    for (; peek() != '"'; rest_.remove_prefix(1)) {
      if (done()) fail("a label without its closing quote");
      if (peek() != '\\') {
        value += peek();
        continue;
      }
      rest_.remove_prefix(1);
      const char c = peek();
      if (c != '\\' && c != '"' && c != 'n') fail("an escape that is none");
      value += c == 'n' ? '\n' : c;
    }
    expect("\"");
    return value;
  }
  double number() {
    const std::string text = take(rest_.size());
    if (text == "+Inf") return std::numeric_limits<double>::infinity();
    if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string::npos) {
      fail("no number");
    }
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size()) fail("no number");
    return value;
  }
  std::string take(std::size_t n) {
    std::string text(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return text;
  }
  std::string take_all() { return take(rest_.size()); }

 private:
  std::string_view line_;
  std::string_view rest_;
};

Sample parse_sample(Cursor& line) {
  Sample sample;
  sample.name = line.name(true);
  if (line.peek() == '{') {
    line.expect("{");
    while (line.peek() != '}') {
      if (!sample.labels.empty()) line.expect(",");
      const std::string key = line.name(false);
      line.expect("=");
      if (!sample.labels.emplace(key, line.quoted()).second) line.fail("a label twice");
    }
    line.expect("}");
  }
  line.expect(" ");
  sample.value = line.number();
  if (!std::isfinite(sample.value)) line.fail("a value that is not finite");
  return sample;
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

void check_histogram(const std::string& name, const Family& family) {
  struct Series {
    double last_bound = -std::numeric_limits<double>::infinity();
    double last_count = 0, count = -1, sum = -1;
  };
  std::map<std::map<std::string, std::string>, Series> all;
  for (const Sample& sample : family.samples) {
    auto labels = sample.labels;
    if (sample.name == name + "_bucket") {
      if (labels.count("le") != 1) throw std::runtime_error(name + ": a bucket without le");
      Cursor le(labels["le"]);
      const double bound = le.number();
      labels.erase("le");
      Series& series = all[labels];
      if (bound <= series.last_bound || sample.value < series.last_count) {
        throw std::runtime_error(name + ": buckets that do not grow");
      }
      series.last_bound = bound;
      series.last_count = sample.value;
    } else if (sample.name == name + "_count") {
      all[labels].count = sample.value;
    } else if (sample.name == name + "_sum") {
      all[labels].sum = sample.value;
    } else {
      throw std::runtime_error(name + ": not a histogram's sample: " + sample.name);
    }
  }
  for (const auto& [labels, series] : all) {
    if (std::isfinite(series.last_bound)) throw std::runtime_error(name + ": no +Inf bucket");
    if (series.count != series.last_count)
      throw std::runtime_error(name + ": _count is not +Inf's");
    if (series.sum < 0) throw std::runtime_error(name + ": no _sum");
  }
}

void check_family(const std::string& name, const Family& family) {
  if (family.help.empty() || family.type.empty()) {
    throw std::runtime_error(name + ": HELP or TYPE is missing");
  }
  if (family.type == "histogram") return check_histogram(name, family);
  if (family.type != "counter" && family.type != "gauge") {
    throw std::runtime_error(name + ": type " + family.type);
  }
  if ((family.type == "counter") != ends_with(name, "_total")) {
    throw std::runtime_error(name + ": _total is for counters, and for all of them");
  }
  for (const Sample& sample : family.samples) {
    if (sample.name != name) throw std::runtime_error(sample.name + " stands under " + name);
    if (family.type == "counter" && sample.value < 0) {
      throw std::runtime_error(name + ": a negative counter");
    }
  }
}

}  // namespace

std::map<std::string, Family> parse_prometheus(std::string_view text) {
  if (to_valid_utf8(text) != text) throw std::runtime_error("not UTF-8");
  if (!ends_with(text, "\n")) throw std::runtime_error("no newline at the end");
  std::map<std::string, Family> families;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen;
  std::string current;
  while (!text.empty()) {
    const auto end = text.find('\n');
    Cursor line(text.substr(0, end));
    text.remove_prefix(end + 1);
    if (line.peek() == '#') {
      line.expect("# ");
      const std::string word = line.name(false);
      line.expect(" ");
      const std::string name = line.name(true);
      line.expect(" ");
      if (word == "HELP") {
        if (!families.emplace(name, Family{}).second) line.fail("a family in two pieces");
        families[name].help = line.take_all();
        current = name;
      } else if (word == "TYPE") {
        if (name != current || !families[name].type.empty()) line.fail("TYPE out of place");
        families[name].type = line.take_all();
      } else {
        line.fail("neither HELP nor TYPE");
      }
      continue;
    }
    Sample sample = parse_sample(line);
    if (current.empty() || sample.name.substr(0, current.size()) != current) {
      line.fail("a sample outside its family");
    }
    if (!seen.emplace(sample.name, sample.labels).second) line.fail("a series twice");
    families[current].samples.push_back(std::move(sample));
  }
  for (const auto& [name, family] : families) check_family(name, family);
  return families;
}

double value_of(const std::map<std::string, Family>& families, const std::string& name,
                const std::map<std::string, std::string>& labels) {
  for (const auto& [family_name, family] : families) {
    for (const Sample& sample : family.samples) {
      if (sample.name == name && sample.labels == labels) return sample.value;
    }
  }
  throw std::runtime_error("no series " + name);
}

std::string prometheus_problem(const std::string& text) {
  try {
    parse_prometheus(text);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

double sample(const std::string& text, const std::string& series) {
  const auto at = ("\n" + text).find("\n" + series + " ");
  return at == std::string::npos ? 0 : std::atof(text.c_str() + at + series.size() + 1);
}

}  // namespace pgforeman::test
