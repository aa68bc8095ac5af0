// Where maintenance looks below the marks, and when.
#include "maintenance/look_plan.h"

#include <limits>
#include <vector>

#include "maintenance/place_set.h"
#include "maintenance/writer_log.h"
#include "marks_support.h"
#include "support/catch.h"

using namespace pgforeman;
using namespace std::chrono_literals;

namespace {

using Ranges = std::vector<PlaceRange>;
using Base = WriterLog::Base;

const TimePoint kAt{1'000'000ms};
constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

OpenWriters view(std::int64_t highest, std::int64_t at_us, std::vector<std::int64_t> open = {}) {
  return {highest, at_us, std::move(open), {}};
}

/// A range of the fresh lane, by numbers.
PlaceRange fresh(std::int64_t above, std::int64_t upto) {
  return {place_of(5, 0) + above, place_of(5, upto)};
}

bool same(const Base& a, const Base& b) {
  return a.number == b.number && a.due_us == b.due_us;
}

/// A plan with buckets of 16 places that has looked at all up to a mark and found nothing.
struct Settled100 {
  Settled100() {
    plan.add({}, fresh_mark(100));
    done();
  }
  void done(const std::vector<Sweep::Bucket>& buckets = {}) {
    for (Ranges ranges = plan.next(kAll, kAt); !ranges.empty(); ranges = plan.next(kAll, kAt)) {
      plan.looked(ranges, found(ranges, buckets), kAt);
    }
  }
  static Sweep found(const Ranges& ranges, const std::vector<Sweep::Bucket>& buckets) {
    Sweep sweep;
    for (const PlaceRange& range : ranges) sweep.reached.push_back(range.upto);
    sweep.buckets = buckets;
    return sweep;
  }
  LookPlan plan{4};
};

std::int64_t bucket_of(std::int64_t number) {
  return place_of(5, number) >> 4;
}

}  // namespace

TEST_CASE("A place is a lane and a number", "[places]") {
  CHECK(lane_of(place_of(5, 77)) == 5);
  CHECK(number_of(place_of(5, 77)) == 77);
  CHECK(place_of(3, -1) == place_of(3, 0));
  CHECK(place_of(3, kAll) == place_of(4, 0) - 1);
  CHECK(lane_of(-1) >= kLanes);
}

TEST_CASE("A claim scans one range for lanes without a mark, another from each mark on",
          "[places]") {
  CHECK(ranges_above({}) == Ranges{{0, kAll}});
  CHECK(ranges_above(fresh_mark(9)) == Ranges{{0, place_of(5, 0)}, {place_of(5, 9), kAll}});
  CHECK(lanes_above(fresh_mark(9)).size() == kLanes);
  Marks all;
  all.fill(7);
  CHECK(ranges_above(all) == lanes_above(all));
}

TEST_CASE("A set of places joins ranges that touch, and is cut by what is removed", "[places]") {
  PlaceSet set;
  set.add({10, 20});
  set.add({30, 40});
  set.add({5, 5});
  CHECK(set.lowest(kAll) == Ranges{{10, 20}, {30, 40}});
  set.add({20, 30});
  CHECK(set.lowest(kAll) == Ranges{{10, 40}});
  set.remove({15, 20});
  set.remove({35, 99});
  CHECK(set.lowest(kAll) == Ranges{{10, 15}, {20, 35}});
  CHECK(set.lowest(3) == Ranges{{10, 13}});
  CHECK(set.lowest(19) == Ranges{{10, 15}});  // whole ranges after the first
  CHECK(set.lowest(20) == Ranges{{10, 15}, {20, 35}});
  set.remove({0, 100});
  CHECK(set.empty());
  set.add({1, 3});
  set.add({0, 9});
  set.remove({3, 3});
  CHECK(set.lowest(kAll) == Ranges{{0, 9}});
}

TEST_CASE("A writer's base is what was drawn two views before it was first seen", "[writer_log]") {
  WriterLog log;
  CHECK(same(log.learn(view(10, 1000)).first_seen, {0, 0}));
  CHECK(same(log.learn(view(20, 2000)).first_seen, {0, 0}));
  CHECK(same(log.learn(view(30, 3000, {7})).first_seen, {10, 1000}));
  CHECK(same(log.unseen(), {20, 2000}));
  CHECK(log.learn(view(40, 4000, {7, 8})).ended.empty());
  const auto news = log.learn(view(50, 5000, {8}));
  REQUIRE(news.ended.size() == 1);
  CHECK(same(news.ended[0], {10, 1000}));
  CHECK(same(news.first_seen, {30, 3000}));
  CHECK(same(log.learn(view(60, 6000)).ended.at(0), {20, 2000}));
  log.learn(view(60, 6000, {9}));
  log.start_over();
  CHECK(log.learn(view(70, 7000)).ended.empty());
}

TEST_CASE("A writer of the first views may have drawn any number", "[writer_log]") {
  WriterLog log;
  log.learn(view(1000, 1000, {7}));
  log.learn(view(2000, 2000, {7, 8}));
  log.learn(view(3000, 3000, {7, 8}));
  const auto ended = log.learn(view(4000, 4000)).ended;
  REQUIRE(ended.size() == 2);
  CHECK(ended[0].number == 0);
  CHECK(ended[1].number == 0);
}

TEST_CASE("Nothing may appear once all writers are newer than the marks", "[writer_log]") {
  WriterLog log;
  CHECK_FALSE(log.may_appear(0, 0));
  CHECK(log.may_appear(5, 0));
  log.learn(view(10, 1000, {7}));
  log.learn(view(10, 2000, {7}));
  CHECK(log.may_appear(5, 0));  // the first view's writers are of any age
  log.learn(view(10, 3000));
  CHECK_FALSE(log.may_appear(10, 0));
  CHECK(log.may_appear(11, 0));
  log.learn(view(10, 4000, {8}));
  log.learn(view(10, 5000, {8}));
  CHECK_FALSE(log.may_appear(10, 2000));
  CHECK(log.may_appear(10, 2001));  // what it scheduled may be due from 2,000 on
  log.forget_times();
  CHECK(log.may_appear(10, 1));
}

TEST_CASE("A look is at what the marks have passed, and above the bases of ended writers",
          "[look_plan]") {
  Settled100 fleet;
  CHECK(fleet.plan.next(kAll, kAt).empty());
  CHECK(fleet.plan.due() == TimePoint::max());
  // 100 is in the bucket of 96 to 111.
  fleet.plan.add({{100, 0}, {}}, fresh_mark(300));
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(95, 300)});
  CHECK(fleet.plan.due() <= kAt);
  fleet.done();
  fleet.plan.add({{280, 0}, {}}, fresh_mark(300));  // unseen writers: above 280
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(271, 300)});
  fleet.done();
  fleet.plan.add({{300, 0}, {{40, 0}, {290, 0}}}, fresh_mark(300));
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(31, 300)});
  fleet.done();
  fleet.plan.add({{400, 0}, {{350, 0}}}, fresh_mark(300));  // nothing of them is below the mark
  CHECK(fleet.plan.next(kAll, kAt).empty());
}

TEST_CASE("A look that failed is made again", "[look_plan]") {
  Settled100 fleet;
  fleet.plan.add({{100, 0}, {}}, fresh_mark(300));
  const Ranges ranges = fleet.plan.next(kAll, kAt);
  fleet.plan.add({{300, 0}, {}}, fresh_mark(301));
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(95, 301)});
}

TEST_CASE("A look comes in slices of whole buckets, each lane by itself", "[look_plan]") {
  LookPlan plan(4);
  Marks marks = fresh_mark(40);
  marks[4] = 20;
  plan.add({}, marks);
  const Ranges first = plan.next(10, kAt);
  CHECK(first == Ranges{{place_of(4, 0) - 1, place_of(4, 15)}});
  plan.looked(first, Settled100::found(first, {}), kAt);
  const Ranges second = plan.next(40, kAt);
  CHECK(second == Ranges{{place_of(4, 15), place_of(4, 20)}});
  plan.looked(second, Settled100::found(second, {}), kAt);
  CHECK(plan.next(kAll, kAt) == Ranges{{place_of(5, 0) - 1, place_of(5, 40)}});
}

TEST_CASE("A look that read 10,000 messages goes on in the bucket that it came to", "[look_plan]") {
  Settled100 fleet;
  fleet.plan.add({{100, 0}, {}}, fresh_mark(300));
  const Ranges ranges = fleet.plan.next(kAll, kAt);
  Sweep found;
  found.reached = {place_of(5, 200)};
  found.buckets = {{bucket_of(100), 3, 5s}, {bucket_of(200), 1, 5s}};
  fleet.plan.looked(ranges, found, kAt);
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(191, 300)});
  CHECK(fleet.plan.leased() == 4);
}

TEST_CASE("Buckets with messages are looked at when a lease ends, at least each second",
          "[look_plan]") {
  Settled100 fleet;
  fleet.plan.add({{100, 0}, {}}, fresh_mark(300));
  fleet.done({{bucket_of(130), 2, 400ms}, {bucket_of(299), 5, 1h}});
  CHECK(fleet.plan.leased() == 7);
  CHECK(fleet.plan.due() == kAt + 400ms);
  CHECK(fleet.plan.next(kAll, kAt + 399ms).empty());
  CHECK(fleet.plan.next(kAll, kAt + 400ms) == Ranges{fresh(127, 143)});
  const Ranges both = fleet.plan.next(kAll, kAt + 1s);
  CHECK(both == Ranges{fresh(127, 143), fresh(287, 300)});
  fleet.plan.looked(both, Settled100::found(both, {{bucket_of(299), 1, 0ms}}), kAt + 1s);
  CHECK(fleet.plan.leased() == 1);
  CHECK(fleet.plan.due() == kAt + 1s + 20ms);  // one was claimable, and may have been locked
}

TEST_CASE("In a long range both ends come first", "[look_plan]") {
  LookPlan plan(4);
  plan.add({}, fresh_mark(10'000'000));
  Ranges looked;
  while (looked.size() < 2) {
    const Ranges ranges = plan.next(1'000'000, kAt);
    plan.looked(ranges, Settled100::found(ranges, {}), kAt);
    looked.insert(looked.end(), ranges.begin(), ranges.end());
  }
  CHECK(looked == Ranges{fresh(-1, 50'015), fresh(9'949'999, 10'000'000)});
  CHECK(plan.next(160, kAt) == Ranges{fresh(50'015, 50'175)});
}

TEST_CASE("A pass adds all numbers, a look at the last ones those, a skip none", "[look_plan]") {
  Settled100 fleet;
  fleet.plan.add_last(10);
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(79, 100)});
  fleet.done();
  fleet.plan.add_last();
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(-1, 100)});
  fleet.done();
  fleet.plan.skip(5, 500);
  fleet.plan.add({{500, 0}, {}}, fresh_mark(510));
  CHECK(fleet.plan.next(kAll, kAt) == Ranges{fresh(495, 510)});
}
