// pg-boss: `install` its schema and queue, `fill` the queue in one transaction that commits at a line
// on stdin, or work. Wake-ups by NOTIFY and bursts of full batches are on: its documentation names
// them as its fastest.
import fs from "node:fs";
import readline from "node:readline";
import pg from "pg";
import { PgBoss } from "pg-boss";
import { handle, number, talk } from "./talk.mjs";

const QUEUE = "bench";
const FILL_CHUNK = 5000;
const FILL_CHUNK_BYTES = 8 << 20;
const connectionString = "postgres:///";
const batchSize = number("BENCH_BATCH", 1);
const localConcurrency = number("BENCH_CONCURRENCY", 8);

async function fill(boss, jobs, payloadFile, delaySeconds) {
  const data = JSON.parse(fs.readFileSync(payloadFile, "utf8"));
  const client = new pg.Client({ connectionString });
  await client.connect();
  const db = { executeSql: (text, values) => client.query(text, values) };
  const one = delaySeconds > 0 ? { data, startAfter: delaySeconds } : { data };
  await client.query("begin");
  const most = Math.floor(FILL_CHUNK_BYTES / JSON.stringify(data).length);
  const chunk = Math.max(1, Math.min(FILL_CHUNK, most));
  for (let left = jobs; left > 0; left -= chunk) {
    await boss.insert(QUEUE, Array(Math.min(chunk, left)).fill(one), { db });
  }
  await client.query("analyze");  // see Contestant.fill
  process.stdout.write("ready\n");
  for await (const _ of readline.createInterface({ input: process.stdin })) break;
  await client.query("commit");
  process.stdout.write("done\n");
}

const command = process.argv[2];
const boss = new PgBoss({
  connectionString,
  max: localConcurrency + 2,
  useListenNotify: true,
  supervise: command === "work",
  schedule: false,
});
boss.on("error", (error) => console.error(error));
await boss.start();
if (command === "install") {
  await boss.createQueue(QUEUE, { notify: true });
  await boss.stop();
} else if (command === "fill") {
  await fill(boss, Number(process.argv[3]), process.argv[4], Number(process.argv[5]));
  await boss.stop({ graceful: false });
  process.exit(0);
} else {
  const options = { batchSize, localConcurrency, pollingIntervalSeconds: 0.5 };
  await boss.work(QUEUE, { ...options, burstWhenBatchFull: true }, async (jobs) => {
    for (const job of jobs) handle(job.data);
  });
  talk(() => boss.stop({ graceful: false }));
}
