// pgx, and lib/pq through database/sql. See ../run.py for what is printed and the forms.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/lib/pq"
)

const (
	send  = "select pgforeman.send($1, $2)"
	named = "select pgforeman.send(queue => $1, payload => $2, priority => $3, delay => $4," +
		" headers => $5)"
	built = "select pgforeman.send('q', json_build_object('client', $1::text, 'form', $2::text," +
		" 'amount', 1.50, 'text', $3::text))"
)

func text(client, form string) string {
	payload := strings.Replace(os.Getenv("CLIENTS_PAYLOAD"), "CLIENT", client, 1)
	return strings.Replace(payload, "FORM", form, 1)
}

func value(client, form string) map[string]any {
	var value map[string]any
	if err := json.Unmarshal([]byte(text(client, form)), &value); err != nil {
		panic(err)
	}
	return value
}

type query func(sql string, parameters ...any) error

func run(client string, do query, asJSON func(map[string]any) any, delay any, list func([]string) any) {
	say := func(form, statement string, parameters ...any) {
		said := "ok"
		if err := do(statement, parameters...); err != nil {
			said = strings.Join(strings.Fields(err.Error()), " ")
		}
		fmt.Println(strings.Join([]string{client, form, said}, "\t"))
	}
	say("literal", "select pgforeman.send('q', '"+text(client, "literal")+"')")
	say("untyped", send, "q", text(client, "untyped"))
	say("text", "select pgforeman.send($1::text, $2::text)", "q", text(client, "text"))
	say("json", "select pgforeman.send($1, $2::json)", "q", asJSON(value(client, "json")))
	say("jsonb", "select pgforeman.send($1, $2::jsonb)", "q", asJSON(value(client, "jsonb")))
	say("built", built, client, "built", value(client, "built")["text"])
	say("named", named, "q", text(client, "named"), 1, delay, asJSON(map[string]any{"a": "b"}))
	say("batch", "select pgforeman.send_batch($1, $2::text[])", "q",
		list([]string{text(client, "batch"), text(client, "batch")}))
	untyped := text(client, "batch_untyped")
	say("batch_untyped", "select pgforeman.send_batch($1, $2)", "q", "["+untyped+","+untyped+"]")
}

func main() {
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, "")
	if err != nil {
		panic(err)
	}
	run("pgx", func(sql string, parameters ...any) error {
		_, err := connection.Exec(ctx, sql, parameters...)
		return err
	}, func(value map[string]any) any { return value }, time.Duration(0),
		func(list []string) any { return list })

	database, err := sql.Open("postgres", "sslmode=disable")
	if err != nil {
		panic(err)
	}
	run("lib/pq", func(sql string, parameters ...any) error {
		_, err := database.Exec(sql, parameters...)
		return err
	}, func(value map[string]any) any {
		text, _ := json.Marshal(value)
		return string(text)
	}, "0 s", func(list []string) any { return pq.Array(list) })
}
