# A private, throw-away PostgreSQL for tools: source it, then `postgres_start FOLDER`.
#
# It lives in FOLDER (which the caller made, and removes after postgres_stop), listens on a unix
# socket there and nowhere else, and dies with the calling shell, however that ends. Sets PGHOST,
# PGUSER and PGDATABASE, which psql and pgforeman both heed.

postgres_pid=

# A tool works on its own server and on no database that the caller's environment names. From here
# on, so that a tool cannot forget it: pgforeman's settings, libpq's, and what platforms set.
unset ${!PGFOREMAN_@} ${!PG@} DATABASE_URL DATABASE_URL_FILE

# The newest server that is installed: Debian keeps them in a folder per version.
postgres_bin() {
  local newest
  newest=$(printf '%s\n' /usr/lib/postgresql/*/bin/postgres | sort -V | tail -n 1)
  [ -x "$newest" ] || { echo "no PostgreSQL server under /usr/lib/postgresql" >&2; return 1; }
  echo "${newest%/*}"
}

postgres_start() {
  local folder=$1 bin tries as=(setpriv)
  bin=$(postgres_bin)
  if [ "$(id -u)" = 0 ]; then
    # The server refuses to run as root.
    as+=(--reuid postgres --regid postgres --init-groups)
    chown postgres "$folder"
  fi
  # Should the caller be killed outright, the kernel sends INT, a fast shutdown.
  as+=(--pdeathsig INT --)
  (cd "$folder" && "${as[@]}" "$bin/initdb" --pgdata="$folder/data" --username=postgres \
    --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync --no-instructions) \
    >"$folder/initdb.log" 2>&1 || { cat "$folder/initdb.log" >&2; return 1; }
  # In a session of its own, because Ctrl-C is for the caller, who stops the server last. Without
  # fsync: a crash of the machine may cost a data directory that nobody keeps.
  (
    cd "$folder"
    exec setsid "${as[@]}" "$bin/postgres" -D "$folder/data" -c listen_addresses= \
      -c unix_socket_directories="$folder" -c fsync=off -c full_page_writes=off \
      >"$folder/postgres.log" 2>&1 </dev/null
  ) &
  postgres_pid=$!
  export PGHOST=$folder PGUSER=postgres PGDATABASE=postgres
  for ((tries = 0; tries < 300; ++tries)); do
    if "$bin/pg_isready" --quiet; then return 0; fi
    kill -0 "$postgres_pid" 2>/dev/null || break
    sleep 0.1
  done
  echo "PostgreSQL did not start:" >&2
  cat "$folder/postgres.log" >&2
  return 1
}

postgres_stop() {
  [ -n "$postgres_pid" ] || return 0
  kill -INT "$postgres_pid" 2>/dev/null || true
  wait "$postgres_pid" 2>/dev/null || true
  postgres_pid=
}
