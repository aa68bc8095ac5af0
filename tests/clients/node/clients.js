// pg and postgres.js. See ../run.py for what is printed and the forms.
import pg from "pg";
import postgres from "postgres";

const send = "select pgforeman.send($1, $2)";
const named =
  "select pgforeman.send(queue => $1, payload => $2, priority => $3, delay => $4, headers => $5)";
const built = `select pgforeman.send('q', json_build_object('client', $1::text, 'form', $2::text,
  'amount', 1.50, 'text', $3::text))`;

const text = (client, form) =>
  process.env.CLIENTS_PAYLOAD.replace("CLIENT", client).replace("FORM", form);
const value = (client, form) => JSON.parse(text(client, form));
const literal = (client) => `select pgforeman.send('q', '${text(client, "literal")}')`;

async function say(client, form, run) {
  try {
    await run();
    console.log([client, form, "ok"].join("\t"));
  } catch (error) {
    console.log([client, form, error.message.replace(/\s+/g, " ")].join("\t"));
  }
}

async function byPg() {
  const name = "pg";
  const client = new pg.Client();
  await client.connect();
  const run = (form, sql, parameters) => say(name, form, () => client.query(sql, parameters));
  await run("literal", literal(name));
  await run("untyped", send, ["q", text(name, "untyped")]);
  await run("text", "select pgforeman.send($1::text, $2::text)", ["q", text(name, "text")]);
  await run("json", "select pgforeman.send($1, $2::json)", ["q", value(name, "json")]);
  await run("jsonb", "select pgforeman.send($1, $2::jsonb)", ["q", value(name, "jsonb")]);
  await run("built", built, [name, "built", value(name, "built").text]);
  await run("named", named, ["q", text(name, "named"), 1, "0 s", { a: "b" }]);
  await run("object", send, ["q", value(name, "object")]);
  await run("batch", "select pgforeman.send_batch($1, $2::text[])", [
    "q",
    [text(name, "batch"), text(name, "batch")],
  ]);
  await run("batch_untyped", "select pgforeman.send_batch($1, $2)", [
    "q",
    [text(name, "batch_untyped"), text(name, "batch_untyped")],
  ]);
  await client.end();
}

async function byPostgres() {
  const name = "postgres.js";
  const sql = postgres({ onnotice: () => {} });
  const t = (form) => text(name, form);
  const v = (form) => value(name, form);
  const run = (form, query) => say(name, form, query);
  await run("literal", () => sql.unsafe(literal(name)));
  await run("untyped", () => sql`select pgforeman.send(${"q"}, ${t("untyped")})`);
  await run("text", () => sql`select pgforeman.send(${"q"}::text, ${t("text")}::text)`);
  await run("json", () => sql`select pgforeman.send(${"q"}, ${sql.typed(v("json"), 114)})`);
  await run("jsonb", () => sql`select pgforeman.send(${"q"}, ${sql.json(v("jsonb"))})`);
  await run("built", () => sql.unsafe(built, [name, "built", v("built").text]));
  await run("named", () => sql`select pgforeman.send(queue => ${"q"}, payload => ${t("named")},
    priority => ${1}, delay => ${"0 s"}, headers => ${sql.json({ a: "b" })})`);
  await run("batch", () => sql`select pgforeman.send_batch(${"q"},
    ${sql.array([t("batch"), t("batch")])})`);
  await run("batch_untyped", () => sql`select pgforeman.send_batch(${"q"},
    ${`[${t("batch_untyped")},${t("batch_untyped")}]`})`);
  await sql.end();
}

await byPg();
await byPostgres();
