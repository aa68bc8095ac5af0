#include "support/fleet.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "support/postgres.h"

namespace pgforeman::test {
namespace {

using nlohmann::json;

std::map<std::string, std::string> environment(const Settings& settings) {
  auto all = clean_environment();
  for (const auto& [name, value] : settings) {
    const bool option = name[0] >= 'A' && name[0] <= 'Z' && name.compare(0, 2, "PG") != 0;
    all[option ? "PGFOREMAN_" + name : name] = value;
  }
  return all;
}

SlotStatus parse_slot(const json& from) {
  SlotStatus slot;
  slot.slot = from.at("slot").get<int>();
  if (!from.at("pid").is_null()) slot.pid = from.at("pid").get<pid_t>();
  slot.epoch = from.at("epoch").get<int>();
  slot.phase = from.at("phase").get<std::string>();
  slot.deadline_in_seconds = from.at("deadline_in_seconds").get<double>();
  slot.connected = from.at("connected").get<bool>();
  if (const json& message = from.at("message"); !message.is_null()) {
    slot.message_id = message.at("id").get<std::int64_t>();
  }
  slot.batch = from.at("batch").get<int>();
  slot.restarts = from.at("restarts").get<int>();
  slot.crash_looping = from.at("crash_looping").get<bool>();
  slot.restart_in_seconds = from.at("restart_in_seconds").get<double>();
  if (const json& exit = from.at("last_exit"); !exit.is_null()) {
    slot.last_cause = exit.at("cause").get<std::string>();
    slot.last_explain = exit.at("explain").get<std::string>();
  }
  slot.done = from.at("messages").at("done").get<std::int64_t>();
  return slot;
}

double parse_time(const std::string& text) {
  tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) throw std::runtime_error("not a time: " + text);
  return static_cast<double>(::timegm(&parts)) + std::strtod(rest, nullptr);
}

std::string text_of(const json& value) {
  return value.is_null() ? "" : value.get<std::string>();
}

}  // namespace

std::string binary_path() {
  const char* other = std::getenv("DAEMON_UNDER_TEST");
  return other != nullptr ? other : PGFOREMAN_BINARY_PATH;
}

bool daemon_is_sanitized() {
  static const bool sanitized = [] {
    std::ifstream file(binary_path(), std::ios::binary | std::ios::ate);
    std::string bytes(static_cast<std::size_t>(file.tellg()), 0);
    file.seekg(0).read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return bytes.find("__asan_init") != std::string::npos;
  }();
  return sanitized;
}

Status parse_status(const std::string& text) {
  const json all = json::parse(text);
  Status status;
  status.state = all.at("state").get<std::string>();
  status.live = all.at("live").get<bool>();
  status.ready = all.at("ready").get<bool>();
  status.not_live_reason = text_of(all.at("not_live_reason"));
  status.not_ready_reason = text_of(all.at("not_ready_reason"));
  status.messages = all.at("messages").get<std::map<std::string, std::int64_t>>();
  status.exits = all.at("exits_by_cause").get<std::map<std::string, std::int64_t>>();
  std::erase_if(status.exits, [](const auto& cause) { return cause.second == 0; });
  for (const json& slot : all.at("slots")) status.slots.push_back(parse_slot(slot));
  status.maintenance = parse_slot(all.at("maintenance"));
  return status;
}

LogLine parse_log_line(const std::string& text) {
  LogLine line;
  try {
    const json all = json::parse(text);
    line.time = parse_time(all.at("time").get<std::string>());
    line.level = all.at("level").get<std::string>();
    line.message = all.at("message").get<std::string>();
    for (const auto& [name, value] : all.items()) {
      line.fields[name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string(error.what()) + " in the log line: " + text);
  }
  return line;
}

Fleet::Fleet(const Settings& settings, Wait wait, const std::function<void(Launch&)>& adjust)
    : mark_(unique_mark()), out_(folder_.file("out")), err_(folder_.file("err")) {
  Settings all{{"QUEUE", "q"},
               {"HEALTH_ADDRESS", "127.0.0.1"},
               {"HEALTH_PORT", "0"},
               {"LOG_FORMAT", "json"}};
  for (const auto& [name, value] : settings) all[name] = value;
  Launch what;
  what.argv = {binary_path(), "run"};
  if (const char* under = std::getenv("PGFOREMAN_TEST_UNDER"); under != nullptr) {
    std::istringstream words("/usr/bin/env " + std::string(under));
    what.argv.insert(what.argv.begin(), std::istream_iterator<std::string>(words), {});
  }
  what.environment = environment(all);
  const auto equals = mark_.find('=');
  what.environment[mark_.substr(0, equals)] = mark_.substr(equals + 1);
  what.out = out_;
  what.err = err_;
  if (adjust) adjust(what);
  if (all["HEALTH_PORT"] != "0") port_ = std::atoi(all["HEALTH_PORT"].c_str());
  pid_ = launch(what);
  bool ok = true;
  if (wait != Wait::nothing) ok = eventually([&] { return read_port(); }, 20s);
  if (ok && wait == Wait::ready) ok = wait_ready();
  if (ok) return;
  kill_marked(mark_);
  wait_for_end(pid_, 10s);
  throw std::runtime_error("the fleet does not start:\n" + errors() + log_text());
}

std::string Fleet::last_words() const {
  static const char* const kKnown[] = {"pgforeman: warning: ",
                                       "FATAL:  ",
                                       "WARNING:  ",
                                       "NOTICE:  ",
                                       "DETAIL:  ",
                                       "HINT:  ",
                                       "server closed the connection unexpectedly",
                                       "\tThis probably means the server terminated abnormally",
                                       "\tbefore or while processing the request."};
  std::string words;
  for (const auto& line : read_lines(err_)) {
    const bool known = std::any_of(std::begin(kKnown), std::end(kKnown),
                                   [&](const char* start) { return line.rfind(start, 0) == 0; });
    if (!known && !line.empty()) words += line + "\n";
  }
  return words;
}

Fleet::~Fleet() {
  kill_marked(mark_);
  if (!ended_) wait_for_end(pid_, 10s);
}

bool Fleet::read_port() {
  for (const auto& line : log("fleet starts")) port_ = std::atoi(line["health_port"].c_str());
  return port_ > 0;
}

Status Fleet::status() const {
  const HttpReply reply = get("/status");
  if (reply.status != 200) throw std::runtime_error("/status: " + reply.problem + reply.body);
  return parse_status(reply.body);
}

std::vector<LogLine> Fleet::log(const std::string& message) const {
  std::vector<LogLine> lines;
  for (const auto& text : read_lines(out_)) {
    // Cheap first: a loop may ask often, and JSON is slow to read.
    if (!message.empty() && text.find("\"message\":\"" + message) == std::string::npos) continue;
    LogLine line = parse_log_line(text);
    if (message.empty() || line.message == message) lines.push_back(std::move(line));
  }
  return lines;
}

std::optional<LogLine> Fleet::wait_for_log(const std::string& message,
                                           const std::function<bool(const LogLine&)>& that,
                                           std::chrono::milliseconds limit) const {
  std::optional<LogLine> found;
  eventually(
      [&] {
        for (auto& line : log(message)) {
          if (found || (that && !that(line))) continue;
          found = std::move(line);
        }
        return found.has_value();
      },
      limit);
  return found;
}

bool Fleet::wait_for_status(const std::function<bool(const Status&)>& that,
                            std::chrono::milliseconds limit) const {
  return eventually([&] { return that(status()); }, limit);
}

bool Fleet::wait_ready(std::chrono::milliseconds limit) const {
  return wait_for_status(
      [](const Status& status) {
        for (const auto& slot : status.slots) {
          if (slot.pid == 0 || !slot.connected) return false;
        }
        return status.ready && status.maintenance.connected;
      },
      limit);
}

std::optional<Ended> Fleet::wait_end(std::chrono::milliseconds limit) {
  const auto end = wait_for_end(pid_, limit);
  ended_ = ended_ || end.has_value();
  return end;
}

int Fleet::stop(std::chrono::milliseconds limit) {
  signal(SIGTERM);
  const auto end = wait_end(limit);
  return end && end->signal == 0 ? end->code : -1;
}

CommandResult run_command(const std::vector<std::string>& words, const Settings& settings,
                          const std::string& input, std::chrono::milliseconds limit) {
  const TempFolder folder;
  Launch what;
  what.argv = {binary_path()};
  what.argv.insert(what.argv.end(), words.begin(), words.end());
  what.environment = environment(settings);
  const std::string mark = unique_mark();
  what.environment[mark.substr(0, mark.find('='))] = mark.substr(mark.find('=') + 1);
  what.in = folder.write("in", input);
  what.out = folder.file("out");
  what.err = folder.file("err");
  const auto start = std::chrono::steady_clock::now();
  const pid_t pid = launch(what);
  CommandResult result;
  const auto end = wait_for_end(pid, limit);
  result.took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start);
  if (end && end->signal == 0) result.code = end->code;
  kill_marked(mark);
  if (!end) wait_for_end(pid, 10s);
  result.out = read_file(what.out);
  result.err = read_file(what.err);
  return result;
}

}  // namespace pgforeman::test
