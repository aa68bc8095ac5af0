// The floor of a wake-up: insert and notify, one listener, one query that takes the row.
//
//   floor FILE    for each row of bench_floor adds the nanoseconds since its "t" to FILE, 8 bytes
//   each
//
// Says "ready" when it listens; ends with its stdin. The sender's SQL is in bench/scenarios.json.

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <iostream>

#include "support.h"

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const int file = ::open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  const bench::Session session = bench::connect();
  bench::query(session, "listen bench_floor");
  bench::check(session, PQprepare(session.get(), "take",
                                  "delete from bench_floor where id = (select id from bench_floor "
                                  "order by id limit 1 for update skip locked) returning payload",
                                  0, nullptr));
  std::cout << "ready" << std::endl;
  while (true) {
    pollfd watched[] = {{PQsocket(session.get()), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0) return 1;
    if (watched[1].revents != 0) return 0;
    PQconsumeInput(session.get());
    int notified = 0;
    while (PGnotify* notification = PQnotifies(session.get())) {
      PQfreemem(notification);
      ++notified;
    }
    while (notified-- > 0) {
      const bench::Result row = bench::check(
          session, PQexecPrepared(session.get(), "take", 0, nullptr, nullptr, nullptr, 0));
      if (PQntuples(row.get()) == 0) break;
      const std::int64_t age =
          bench::now_ns() - bench::number_after(PQgetvalue(row.get(), 0, 0), "\"t\": ");
      if (::write(file, &age, sizeof age) != sizeof age) return 1;
    }
  }
}
