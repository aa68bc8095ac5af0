#include "faults/ledger.h"

#include <map>
#include <sstream>
#include <stdexcept>
#include <utility>

namespace pgforeman::test {

std::vector<LedgerRun> read_ledger(const std::string& text) {
  std::vector<LedgerRun> runs;
  std::map<std::tuple<std::int64_t, std::int64_t, std::string>, std::size_t> open;
  std::istringstream lines(text.substr(0, text.rfind('\n') + 1));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string what;
    LedgerRun run;
    double time = 0;
    words >> what >> run.fleet >> run.id >> run.fence >> run.process >> time;
    if (!words) throw std::runtime_error("not a line of the ledger: " + line);
    words >> run.key;
    const std::tuple key{run.id, run.fence, run.process};
    if (what == "begin") {
      run.begun = time;
      open[key] = runs.size();
      runs.push_back(run);
      continue;
    }
    const auto begun = open.find(key);
    if ((what != "done" && what != "failed") || begun == open.end()) {
      throw std::runtime_error("not a line of the ledger, or an end without a begin: " + line);
    }
    runs[begun->second].ended = time;
    runs[begun->second].done = what == "done";
    open.erase(begun);
  }
  return runs;
}

}  // namespace pgforeman::test
