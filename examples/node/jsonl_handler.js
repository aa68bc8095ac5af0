#!/usr/bin/env node
// jsonl handler without packages: one process for many messages.
//
//   pgforeman send words '{"path": "README.md"}'
//   PGFOREMAN_QUEUE=words PGFOREMAN_HANDLER_MODE=jsonl \
//     PGFOREMAN_HANDLER='node examples/node/jsonl_handler.js' pgforeman run

'use strict';

const { readFile } = require('node:fs/promises');
const readline = require('node:readline');

// Standard output belongs to the answers: a stray console.log() would break the contract, so it
// goes to standard error, which pgforeman logs.
console.log = console.error;

class Dead extends Error {} // no retry can help

class Retry extends Error { // later; `after` is a number of seconds or text such as '5s'
  constructor(message, after) {
    super(message);
    this.after = after;
  }
}

// The work. What it returns is the result.
async function handle({ payload }) {
  if (typeof payload?.path !== 'string') throw new Dead('the payload must be {"path": "..."}');
  let text;
  try {
    text = await readFile(payload.path, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') throw new Retry(`not there yet: ${payload.path}`, '30s');
    throw error;
  }
  return { words: text.split(/\s+/).filter(Boolean).length };
}

async function answerTo(message) {
  try {
    return { status: 'done', result: await handle(message) };
  } catch (error) {
    if (error instanceof Dead) return { status: 'dead', error: error.message };
    // Anything else is a bug or an outage: pgforeman backs off and tries again.
    return { status: 'retry', error: error.message, after: error.after };
  }
}

async function main() {
  // Ends when pgforeman closes standard input.
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const message = JSON.parse(line);
    const answer = { id: message.id, ...(await answerTo(message)) };
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

main();
