// The judge of a fault run must be able to convict: doctored books.

#include <algorithm>

#include "faults/books.h"
#include "faults/plan.h"
#include "support/catch.h"

using namespace pgforeman::test;

namespace {

using Where = MessageEnd::Where;

/// Message 1, run under its only claim, and done.
Books one_done() {
  Books books;
  books.sent = {1};
  books.runs = {{1, 1, "a1", 10, 11, true}};
  books.ends = {{1, 1, Where::done, 11.001, "", false, {}}};
  return books;
}

/// The same, but its first run came to nothing at 11 s, and the second one is done.
Books one_done_again() {
  Books books = one_done();
  books.runs = {{1, 1, "a1", 10, 0, false}, {1, 2, "b1", 12, 13, true}};
  books.ends[0].claims = 2;
  books.ends[0].at = 13.001;
  return books;
}

bool convicted(const Books& books, const std::string& of) {
  const Verdict verdict = audit(books);
  return std::any_of(verdict.problems.begin(), verdict.problems.end(),
                     [&](const std::string& problem) { return problem.rfind(of, 0) == 0; });
}

}  // namespace

TEST_CASE("What was sent, run and is done balances", "[books]") {
  const Verdict verdict = audit(one_done());
  INFO(verdict.text());
  CHECK(verdict.problems.empty());
  CHECK(verdict.done == 1);
  CHECK(verdict.extra == 0);
}

TEST_CASE("A message in no table counts as lost", "[books]") {
  Books books = one_done();
  books.sent.insert(2);
  CHECK(convicted(books, "lost: message 2"));
}

TEST_CASE("A message removed without its own run counts as lost", "[books]") {
  Books books = one_done();
  books.runs.clear();
  CHECK(convicted(books, "gone as done, but no handler says so"));
  books = one_done();
  books.runs[0].done = false;
  CHECK(convicted(books, "gone as done, but no handler says so"));
  books = one_done_again();
  books.runs.pop_back();
  CHECK(convicted(books, "gone as done, but no handler says so"));
}

TEST_CASE("A failed run needs a reason", "[books]") {
  CHECK(convicted(one_done_again(), "run again, and nobody knows why"));

  Books books = one_done_again();
  books.ends[0].history = {{1, "signal"}};
  CHECK(audit(books).problems.empty());
  CHECK(audit(books).explained.at("in the message's history") == 1);
  books.ends[0].history = {{2, "signal"}};  // another run's
  CHECK(convicted(books, "run again, and nobody knows why"));

  books = one_done_again();
  books.incidents = {{"a1", "a lost host", 10.5, 12}};
  CHECK(audit(books).problems.empty());
  CHECK(audit(books).explained.at("a lost host") == 1);
  books.incidents = {{"", "an outage", 10.5, 12}};
  CHECK(audit(books).problems.empty());
  books.incidents = {{"b1", "another fleet's", 10.5, 12}};
  CHECK(convicted(books, "run again, and nobody knows why"));
  books.incidents = {{"a1", "over before it began", 8, 9.9}};
  CHECK(convicted(books, "run again, and nobody knows why"));
}

TEST_CASE("A run that ended before an incident is not explained by it", "[books]") {
  Books books = one_done_again();
  books.runs[0] = {1, 1, "a1", 1, 1.1, true};
  books.incidents = {{"a1", "a lost host", 11, 12}};
  CHECK(convicted(books, "run again, and nobody knows why"));
  books.incidents[0].from = 1.5;  // soon after: it was not settled yet
  CHECK(audit(books).problems.empty());
  books.runs[0].ended = 0;  // nor one that must have come to its end
  CHECK(audit(books).problems.empty());
  books.incidents[0].from = 11;
  CHECK(convicted(books, "run again, and nobody knows why"));
  // What came after the next run had begun did not cause it.
  books.runs[0].begun = 11.5;
  books.incidents[0].from = 12.5;
  CHECK(convicted(books, "run again, and nobody knows why"));
}

TEST_CASE("Two runs under one claim are a fault", "[books]") {
  Books books = one_done_again();
  books.runs[0] = {1, 2, "b1", 10, 0, false, "100@1"};
  books.ends[0].history = {{2, "signal"}};
  CHECK(convicted(books, "run twice under one claim"));
}

TEST_CASE("An incident explains no more runs than consumers can have held", "[books]") {
  Books books;
  books.incidents = {{"", "an outage", 10, 12}};
  constexpr std::int64_t kMost = 224;  // 160 in the first lease, and two seconds of the second
  for (std::int64_t id = 1; id <= kMost + 1; ++id) {
    if (id == kMost + 1) CHECK(audit(books).problems.empty());
    books.sent.insert(id);
    books.runs.push_back({id, 1, "a1", 10, 0, false});
    books.runs.push_back({id, 2, "b1", 12, 13, true});
    books.ends.push_back({id, 2, Where::done, 13.001, "", false, {}});
  }
  CHECK(convicted(books, "too much for one incident: 225"));
}

TEST_CASE("Consumers may die at work only of planned faults", "[books]") {
  Books books = one_done_again();
  books.ends[0].history = {{1, "consumer_deadline"}};
  CHECK(convicted(books, "1 consumers died at work, 0 workers were hit"));
  books.blows = {{"a1", 10.5, 12}};
  CHECK(audit(books).problems.empty());
}

TEST_CASE("A cause that no handler makes is a fault", "[books]") {
  Books books = one_done_again();
  books.ends[0].history = {{1, "contract"}};
  CHECK(convicted(books, "nobody did that, told as contract"));
}

TEST_CASE("A run is charged to the incident that explains fewer runs", "[books]") {
  Books books = one_done_again();
  books.incidents = {{"a1", "a lost host", 10.5, 12}, {"", "an outage", 10.5, 12}};
  CHECK(audit(books).explained.at("a lost host") == 1);
  std::swap(books.incidents[0], books.incidents[1]);
  CHECK(audit(books).explained.at("a lost host") == 1);
}

TEST_CASE("An incident of certain messages does not explain others", "[books]") {
  Books books = one_done_again();
  books.incidents = {{"", "rows were locked", 10.5, 12, {1}}};
  CHECK(audit(books).problems.empty());
  books.incidents[0].ids = {2};
  CHECK(convicted(books, "run again, and nobody knows why"));
}

TEST_CASE("Overlapping runs without a lost lease, and a done run recorded as failed, are faults",
          "[books]") {
  Books books = one_done_again();
  books.runs[0].ended = 12.5;
  books.ends[0].history = {{1, "consumer_crash"}};
  books.blows = {{"a1", 10.5, 12}};
  CHECK(convicted(books, "two at once"));
  books.incidents = {{"a1", "frozen", 10.5, 12}};
  CHECK(audit(books).problems.empty());

  books = one_done_again();
  books.runs[0].ended = 11;
  books.runs[0].done = true;
  books.ends[0].history = {{1, "consumer_crash"}};
  books.blows = {{"a1", 10.5, 12}};
  CHECK(audit(books).problems.empty());
  books.ends[0].history[0].cause = "retry";
  CHECK(convicted(books, "done, but told as retry"));
}

TEST_CASE("A message settled before its handler ended is a fault", "[books]") {
  Books books = one_done();
  books.ends[0].at = 10.5;
  CHECK(convicted(books, "gone before it was done"));
}

TEST_CASE("History entries without a run are faults", "[books]") {
  Books books = one_done();
  for (std::int64_t fence = 100; fence < 130; ++fence) {
    books.ends[0].history.push_back({fence, "signal"});
  }
  CHECK(convicted(books, "30 runs stand in histories"));
}

TEST_CASE("Each run needs a claim of its own", "[books]") {
  Books books = one_done();
  books.runs.push_back({1, 1, "b1", 12, 13, true});
  CHECK(convicted(books, "run twice under one claim"));
  books = one_done();
  books.runs.push_back({1, 2, "b1", 12, 13, true});
  CHECK(convicted(books, "run under a claim that the database does not know"));
}

TEST_CASE("Messages left over, returned or never sent are faults", "[books]") {
  Books books = one_done();
  books.ends[0].where = Where::left;
  CHECK(convicted(books, "still in the queue"));
  books = one_done();
  books.ends.push_back(books.ends[0]);
  CHECK(convicted(books, "left the queue twice"));
  books = one_done();
  books.runs.push_back({7, 1, "a1", 10, 11, true});
  CHECK(convicted(books, "run, but the database never had it"));
}

TEST_CASE("Good messages must be done and crashing ones dead", "[books]") {
  Books books = one_done();
  books.ends[0].where = Where::dead;
  books.ends[0].history = {{1, "signal"}};
  books.ends[0].reason = "max_crashes";
  books.runs[0] = {1, 1, "a1", 10, 0, false};
  CHECK(convicted(books, "a good message is a dead letter"));
  books.ends[0].poison = true;
  CHECK(audit(books).problems.empty());
  books.ends[0].reason = "max_claims";
  CHECK(convicted(books, "what crashed died of max_claims"));
  books = one_done();
  books.ends[0].poison = true;
  CHECK(convicted(books, "what can only crash is done"));
}

TEST_CASE("Only what is damaged may be unreadable, and its crashes need no run", "[books]") {
  Books books;
  books.sent = {1};
  books.ends = {
      {1, 2, Where::dead, 11, "max_crashes", true, {{1, "unreadable"}, {2, "unreadable"}}}};
  books.ends[0].crashes = 2;
  const Verdict verdict = audit(books);
  INFO(verdict.text());
  CHECK(verdict.problems.empty());
  CHECK(verdict.unbegun == 0);
  books.ends[0].poison = false;
  CHECK(convicted(books, "a payload without damage was not read"));
}

TEST_CASE("An unacknowledged send may or may not be in the queue", "[books]") {
  Books books = one_done();
  books.sent.clear();
  const Verdict verdict = audit(books);
  CHECK(verdict.problems.empty());
  CHECK(verdict.unacknowledged == 1);
}

TEST_CASE("A ledger is read, and a malformed one refused", "[books]") {
  const auto runs = read_ledger(
      "begin a1 7 3 100 10.5\nbegin b1 8 1 200 10.6\nfailed b1 8 1 200 10.7\n"
      "done a1 7 3 100 11.5\nbegin a1 9 1 100 12\nbegin a1 10");
  REQUIRE(runs.size() == 3);
  CHECK(runs[0].done);
  CHECK(runs[0].ended == 11.5);
  CHECK_FALSE(runs[1].done);
  CHECK(runs[1].fleet == "b1");
  CHECK(runs[2].ended == 0);
  CHECK_THROWS(read_ledger("done a1 7 3 100 11.5\n"));
  CHECK_THROWS(read_ledger("begin a1 7\n"));
  CHECK_THROWS(read_ledger("hello\n"));
}

TEST_CASE("The same seed makes the same plan, another seed another plan", "[books]") {
  std::vector<const Fault*> all;
  for (const Fault& fault : catalogue()) all.push_back(&fault);
  const auto texts = [&](std::uint64_t seed) {
    std::string text;
    for (const Strike& strike : make_plan(seed, 120, all)) text += to_text(strike) + "\n";
    return text;
  };
  CHECK(texts(1) == texts(1));
  CHECK(texts(1) != texts(2));
  for (const Fault* fault : all) CHECK(texts(3).find(fault->name) != std::string::npos);
  CHECK_THROWS(fault_named("no-such-fault"));
}

TEST_CASE("A restore may lose only what the dump did not have", "[books]") {
  Books books = one_done();
  books.sent.insert(2);
  books.runs.push_back({2, 1, "a1", 10, 11, true});
  books.restores = {{12, {}, {2}}};
  const Verdict verdict = audit(books);
  INFO(verdict.text());
  CHECK(verdict.problems.empty());
  CHECK(verdict.after_the_dump == 1);
  books.sent.insert(3);
  CHECK(convicted(books, "lost: message 3"));
}

TEST_CASE("A message that a restore brings back must run again", "[books]") {
  Books books = one_done_again();
  books.runs[0] = {1, 5, "a1", 10, 10.1, true};  // by a claim that the dump does not have
  books.restores = {{11, {1}, {}}};
  books.runs[1].begun = 20;
  books.runs[1].ended = books.ends[0].at = 20.1;
  const Verdict verdict = audit(books);
  INFO(verdict.text());
  CHECK(verdict.problems.empty());
  CHECK(verdict.explained.at("before a dump was restored") == 1);

  Books again = books;
  again.runs.pop_back();
  CHECK(convicted(again, "gone as done, but no handler says so"));
  // Another message's runs are not explained by it, nor are those long after it.
  again = books;
  again.restores[0].back = {2};
  CHECK(convicted(again, "run under a claim that the database does not know"));
  again = books;
  again.runs.insert(again.runs.begin() + 1, {1, 1, "a1", 19, 19.1, true});
  CHECK(convicted(again, "run again, and nobody knows why"));
}

TEST_CASE("A claim that was made before a restore and is in the dump may be done after it",
          "[books]") {
  Books books = one_done();
  books.restores = {{10.5, {1}, {}}};
  const Verdict verdict = audit(books);
  INFO(verdict.text());
  CHECK(verdict.problems.empty());
  CHECK(verdict.extra == 0);
}

TEST_CASE("An idempotency key is never used for another message", "[books]") {
  Books books = one_done_again();
  books.ends[0].history = {{1, "signal"}};
  books.runs[0].key = books.runs[1].key = "7-100";
  CHECK(audit(books).problems.empty());
  books.runs[1].key = "7-101";
  CHECK(convicted(books, "a message's key has changed"));
  books.runs[1].key = "7-100";
  books.sent.insert(2);
  books.runs.push_back({2, 1, "a1", 10, 11, true, "", "7-100"});
  books.ends.push_back({2, 1, Where::done, 11.001, "", false, {}});
  CHECK(convicted(books, "another message's key comes again"));
}

TEST_CASE("A crash needs a process that died of it", "[books]") {
  Books books = one_done_again();
  books.ends[0].history = {{1, "signal", "SIGSEGV"}};
  books.ends[0].crashes = 1;
  CHECK(audit(books).problems.empty());
  books.ends[0].history[0].cause = "timeout";
  CHECK(convicted(books, "charged with 1 crashes, of which 0 happened"));
}

TEST_CASE("A run that was asked to end is no crash, and a shutdown counts no attempt", "[books]") {
  Books books = one_done_again();
  books.ends[0].history = {{1, "signal", "SIGTERM"}};
  CHECK(convicted(books, "a shutdown has cost an attempt"));
  books.told = {{"a1", 10.5, 12}};
  CHECK(audit(books).problems.empty());
  books.ends[0].crashes = 1;
  CHECK(convicted(books, "charged with 1 crashes"));
}
