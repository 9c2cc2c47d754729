#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build.sh FOLDER [meson options]: configures when needed, builds, and fails on any warning of ours.
set -euo pipefail
folder=$1
shift
[ -f "$folder/build.ninja" ] || meson setup "$folder" --werror "$@"
ninja -C "$folder"
