// `fault_run`: plays a plan of faults and says whether the books balance. See tools/faults.

#include <boost/program_options.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <random>
#include <sstream>

#include "faults/neighbours.h"
#include "faults/plan.h"
#include "faults/run.h"

using namespace pgforeman::test;
namespace po = boost::program_options;

namespace {

constexpr int kFailed = 1, kUsage = 64;

std::string repeat(const RunOptions& options, const std::vector<std::string>& only) {
  std::ostringstream text;
  text << "tools/faults --seed " << options.seed << " --minutes " << options.seconds / 60;
  for (const auto& name : only) text << " --only " << name;
  return text.str();
}

int list() {
  for (const Fault& fault : catalogue()) {
    std::printf("%-20s %5.1f a minute  %s%s\n", fault.name.c_str(), fault.per_minute,
                fault.text.c_str(), fault.planned ? "" : " (only with --only)");
  }
  return 0;
}

/// One message that is refused leaves those beside it so much of their rate.
constexpr double kKeeps = 0.9;

int neighbours(const std::vector<std::string>& only) {
  int failed = 0;
  const auto rates =
      measure_neighbours(60, only, [](const std::string& line) { std::cout << line << std::endl; });
  for (const auto& rate : rates) failed += rate.part() < kKeeps;
  std::cout << (failed == 0 ? "PASSED" : "FAILED") << ": " << rates.size() - failed << " of "
            << rates.size() << " keep " << kKeeps << " of their rate\n";
  return failed == 0 ? 0 : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  RunOptions options;
  double minutes = 0;
  std::vector<std::string> only;
  po::options_description words("Options");
  words.add_options()("help", "this text")("list", "the faults there are")(
      "plan", "what would be done when, and no more")(
      "minutes", po::value(&minutes)->default_value(20, "20"), "how long, without the end")(
      "seed", po::value(&options.seed), "repeats a run; otherwise a new one each time")(
      "rate", po::value(&options.rate)->default_value(100, "100"), "messages a second")(
      "only", po::value(&only)->composing(), "this fault (or duty); may be said more than once")(
      "neighbours",
      "instead: what a message that the database refuses costs others, a minute for each duty")(
      "keep", po::value(&options.keep), "a folder for ledger and logs; else kept on failure only");
  try {
    std::random_device device;
    options.seed = device();
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, words), given);
    po::notify(given);
    if (given.contains("help")) {
      std::cout << words;
      return 0;
    }
    if (given.contains("list")) return list();
    if (given.contains("neighbours")) return neighbours(only);
    if (!(minutes > 0) || !(options.rate > 0)) {
      throw po::error("--minutes and --rate must be greater than 0");
    }
    options.seconds = minutes * 60;
    for (const auto& name : only) options.faults.push_back(&fault_named(name));
    for (const Fault& fault : catalogue()) {
      if (only.empty() && fault.planned) options.faults.push_back(&fault);
    }
    if (given.contains("plan")) {
      for (const Strike& strike : make_plan(options.seed, options.seconds, options.faults)) {
        std::printf("%s\n", to_text(strike).c_str());
      }
      return 0;
    }
  } catch (const std::exception& error) {
    std::cerr << "fault_run: " << error.what() << "\n";
    return kUsage;
  }
  const std::string again = repeat(options, only);
  options.progress = [](const std::string& line) { std::cout << line << std::endl; };
  std::cout << "To repeat: " << again << std::endl;
  try {
    const Report report = play(options);
    std::cout << "\n" << report.text() << (report.ok() ? "PASSED: " : "FAILED: ") << again << "\n";
    return report.ok() ? 0 : kFailed;
  } catch (const std::exception& error) {
    std::cerr << "fault_run: the run could not be played: " << error.what() << "\n";
    return kFailed;
  }
}
