// How the peers' workers talk with the runner: "ready", then each line on stdin is answered with the
// number of jobs that handlers have begun; the end of stdin ends the worker.
import fs from "node:fs";
import readline from "node:readline";

const file = process.env.BENCH_LATENCIES ? fs.openSync(process.env.BENCH_LATENCIES, "a") : null;
let handled = 0;

/** What a handler does with a payload: count it and, where asked, write down its age. */
export function handle(payload) {
  handled += 1;
  if (file !== null && payload.t) {
    const age = Buffer.alloc(8);
    age.writeBigInt64LE(process.hrtime.bigint() - BigInt(payload.t));
    fs.writeSync(file, age);
  }
}

export function talk(onEnd) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("line", () => process.stdout.write(`${handled}\n`));
  lines.on("close", async () => {
    await onEnd();
    process.exit(0);
  });
  process.stdout.write("ready\n");
}

export const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
