# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by up, check and .ci/run: steps with a progress line and their time, packages, builds.

fail() { # step, why, what to do
  printf '\n%s failed: %s\nWhat to do: %s\n' "$1" "$2" "$3" >&2
  exit 1
}

# step TITLE COMMAND...: one line with its time; its output is shown only when it fails.
step() {
  local title=$1 begin log
  shift
  begin=$(date +%s.%N)
  log=$(mktemp)
  printf '      %-30s ' "$title"
  if ! "$@" >"$log" 2>&1; then
    printf 'failed\n'
    tail -n 30 "$log" >&2
    rm -f "$log"
    fail "$title" "$* did not succeed; its last lines are above" "mend what they name, then start again: what is done stays done"
  fi
  rm -f "$log"
  awk -v a="$begin" -v b="$(date +%s.%N)" 'BEGIN { printf "%8.2f s\n", b - a }'
}

# Packages named in the given files (one a line, # begins a comment) that are not installed yet.
missing_packages() {
  local name
  sed 's/#.*//; s/ *$//; /^$/d' "$@" | while read -r name; do
    dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || echo "$name"
  done
}

install_packages() {
  local names
  names=$(missing_packages "$@")
  [ -n "$names" ] || return 0
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  # shellcheck disable=SC2086 # a list of names
  apt-get install -y -qq --no-install-recommends $names
}

build_release() {
  [ -f build/build.ninja ] || meson setup build --buildtype=release -Db_ndebug=false
  ninja -C build
}

# So that `nubo ssh` works from anywhere; never over a program that is not ours.
install_program() {
  local link=/usr/local/bin/nubo
  if [ ! -e "$link" ] || [ -L "$link" ]; then
    ln -sfn "$PWD/build/src/nubo/nubo" "$link" 2>/dev/null || true
  fi
}
