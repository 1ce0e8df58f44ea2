# Sourced by the setup scripts: one way to speak, to find python3 and pip, and to run pip with a one-line failure.

say() { printf '%s: %s\n' "$(basename "$0")" "$*"; }

fail() {
    printf '%s: error: %s\n' "$(basename "$0")" "$*" >&2
    exit 1
}

require_python() {
    command -v python3 > /dev/null 2>&1 \
        || fail "python3 was not found; install Python 3.9 or newer (Debian, Ubuntu: apt-get install python3 python3-pip)"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 9))' 2> /dev/null \
        || fail "$(python3 --version 2>&1) is too old; Python 3.9 or newer is needed"
}

# The package keeps collections in SQLite and is compiled against the system's. Without a C compiler to ask, Swift's own will tell.
require_sqlite_headers() {
    local compiler
    compiler="$(command -v clang || command -v cc || command -v gcc)" || return 0
    echo '#include <sqlite3.h>' | "$compiler" -E -x c - > /dev/null 2>&1 \
        || fail "sqlite3.h was not found; install SQLite's headers (Debian, Ubuntu: apt-get install libsqlite3-dev)"
}

# Sets the array `pip`. Debian ships python3 without pip; a throw-away virtual environment has one where venv is whole.
require_pip() {
    if python3 -m pip --version > /dev/null 2>&1; then
        pip=(python3 -m pip)
    elif command -v pip3 > /dev/null 2>&1 && pip3 --version > /dev/null 2>&1; then
        pip=(pip3)
    else
        if ! .apus/pip-venv/bin/python -m pip --version > /dev/null 2>&1; then
            rm -rf .apus/pip-venv
            python3 -m venv .apus/pip-venv > /dev/null 2>&1 \
                || fail "pip was not found (Debian, Ubuntu: apt-get install python3-pip)"
        fi
        pip=(.apus/pip-venv/bin/python -m pip)
    fi
}

# run_pip WHAT ARGUMENT…: runs pip with the user's own configuration; on failure tells WHAT failed and pip's last error.
run_pip() {
    local what="$1" log
    shift
    log="$(mktemp "${TMPDIR:-/tmp}/apus-pip-XXXXXX")"
    if ! "${pip[@]}" --disable-pip-version-check --no-input "$@" 2> "$log"; then
        local reason
        reason="$(grep -E '^ *ERROR:' "$log" | tail -n 1 | sed -E 's/^ *ERROR: *//' | cut -c 1-300 || true)"
        if grep -qE 'NewConnectionError|ConnectTimeout|NameResolution|ProxyError|ReadTimeout|Max retries' "$log"; then
            reason="the package index could not be reached; check the network and pip's configuration (pip config list)"
        elif grep -q 'No matching distribution' "$log"; then
            reason="$reason; is the package index reachable (pip config list), and does it carry that version?"
        elif grep -q 'DO NOT MATCH THE HASHES' "$log"; then
            reason="what the package index sent does not match the pinned hash"
        fi
        rm -f "$log"
        fail "could not $what: ${reason:-pip failed without a message}"
    fi
    rm -f "$log"
}
