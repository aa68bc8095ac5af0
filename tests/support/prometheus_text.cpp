#include "support/prometheus_text.h"

#include <cmath>
#include <cstdlib>
#include <set>
#include <sstream>
#include <stdexcept>
#include <vector>

namespace pgforeman::test {
namespace {

struct Sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

[[noreturn]] void wrong(const std::string& what, const std::string& line) {
  throw std::runtime_error(what + ": " + line);
}

bool is_name(const std::string& text, bool colons) {
  if (text.empty() || (text[0] >= '0' && text[0] <= '9')) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(c >= '0' && c <= '9') && !(colons && c == ':')) return false;
  }
  return true;
}

double number(const std::string& text, const std::string& line) {
  if (text == "+Inf") return INFINITY;
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) wrong("not a finite number", line);
  return value;
}

/// {a="b",c="d"}, from just behind the brace; moves `at` behind the closing one.
std::map<std::string, std::string> labels(const std::string& line, std::size_t& at) {
  std::map<std::string, std::string> all;
  while (at < line.size() && line[at] != '}') {
    const auto equals = line.find("=\"", at);
    if (equals == std::string::npos) wrong("label without =\"", line);
    const std::string name = line.substr(at, equals - at);
    if (!is_name(name, false)) wrong("bad label name", line);
    std::string value;
    at = equals + 2;
    for (; at < line.size() && line[at] != '"'; ++at) {
      if (line[at] == '\\') {
        ++at;
        if (at >= line.size() || std::string("\\\"n").find(line[at]) == std::string::npos) {
          wrong("bad escape", line);
        }
      }
      value += line[at];
    }
    if (at >= line.size()) wrong("label value without end", line);
    ++at;
    if (!all.emplace(name, value).second) wrong("label twice", line);
    if (at < line.size() && line[at] == ',') ++at;
  }
  if (at >= line.size()) wrong("labels without end", line);
  ++at;
  return all;
}

Sample parse(const std::string& line) {
  Sample one;
  std::size_t at = line.find_first_of("{ ");
  if (at == std::string::npos) wrong("no value", line);
  one.name = line.substr(0, at);
  if (!is_name(one.name, true)) wrong("bad metric name", line);
  if (line[at] == '{') one.labels = labels(line, ++at);
  if (at >= line.size() || line[at] != ' ') wrong("no space before the value", line);
  one.value = number(line.substr(at + 1), line);
  return one;
}

class Reader {
 public:
  void read(const std::string& line) {
    if (line.empty()) wrong("empty line", line);
    if (line[0] == '#') {
      comment(line);
    } else {
      take(parse(line), line);
    }
  }

  void finish() { check_histogram(); }

 private:
  void comment(const std::string& line) {
    std::istringstream words(line);
    std::string hash, kind, name, rest;
    words >> hash >> kind >> name >> rest;
    if (!is_name(name, true)) wrong("bad metric name", line);
    if (name != family_) {
      check_histogram();
      if (!families_.insert(name).second) wrong("family in two places", line);
      family_ = name;
      type_.clear();
      samples_.clear();
    }
    if (kind == "HELP") return;
    if (kind != "TYPE") wrong("unknown comment", line);
    if (rest != "counter" && rest != "gauge" && rest != "histogram") wrong("unknown type", line);
    if (!type_.empty() || !samples_.empty()) wrong("TYPE too late or twice", line);
    type_ = rest;
  }

  void take(Sample one, const std::string& line) {
    const bool part =
        type_ == "histogram" && (one.name == family_ + "_bucket" || one.name == family_ + "_sum" ||
                                 one.name == family_ + "_count");
    if (type_.empty() || (one.name != family_ && !part)) wrong("sample outside its family", line);
    if (type_ == "histogram" && !part) wrong("bare sample of a histogram", line);
    if (type_ == "counter" && one.value < 0) wrong("negative counter", line);
    if (type_ == "counter" && one.name.find("_total") == std::string::npos) {
      wrong("counter without _total", line);
    }
    std::string series = one.name;
    for (const auto& [name, value] : one.labels) series += "," + name + "=" + value;
    if (!series_.insert(series).second) wrong("series twice", line);
    samples_.push_back(std::move(one));
  }

  void check_histogram() {
    if (type_ != "histogram") return;
    double last = 0, bound = -INFINITY, count = -1;
    for (const auto& one : samples_) {
      if (one.name == family_ + "_count") count = one.value;
      if (one.name != family_ + "_bucket") continue;
      const double le = number(one.labels.at("le"), family_);
      if (le <= bound || one.value < last) wrong("buckets do not grow", family_);
      bound = le;
      last = one.value;
    }
    if (bound != INFINITY || last != count) wrong("+Inf bucket is not the count", family_);
  }

  std::string family_, type_;
  std::vector<Sample> samples_;
  std::set<std::string> families_, series_;
};

}  // namespace

std::string prometheus_problem(const std::string& text) {
  if (text.empty() || text.back() != '\n') return "does not end in a newline";
  try {
    Reader reader;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) reader.read(line);
    reader.finish();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

double sample(const std::string& text, const std::string& series) {
  const auto at = ("\n" + text).find("\n" + series + " ");
  return at == std::string::npos ? 0 : std::atof(text.c_str() + at + series.size() + 1);
}

}  // namespace pgforeman::test
