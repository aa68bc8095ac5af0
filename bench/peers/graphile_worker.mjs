// A Graphile Worker instance with one task that does nothing. `install` only installs its schema.
import { run, runMigrations, Logger } from "graphile-worker";
import { handle, number, talk } from "./talk.mjs";

const jobs = number("BENCH_CONCURRENCY", 24);
const local = number("BENCH_LOCAL_QUEUE", 0);
const worker = {
  connectionString: "postgres:///",
  concurrentJobs: jobs,
  maxPoolSize: Math.max(10, jobs + 2),
  // Its documentation's fastest settings; without them every job is fetched and completed alone.
  ...(local > 0
    ? { localQueue: { size: local }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
    : {}),
};
const logger = new Logger(() => (level, message) => {
  if (level === "error") console.error(message);
});

if (process.argv[2] === "install") {
  await runMigrations({ preset: { worker }, logger });
  process.exit(0);
}
const runner = await run({
  preset: { worker },
  logger,
  noHandleSignals: true,
  taskList: { bench: async (payload) => handle(payload) },
});
talk(() => runner.stop());
