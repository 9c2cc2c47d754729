#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The doors between the rooms, read off the #include lines (docs/ARCHITECTURE.md).

base knows nothing above it; oslo knows base; a service knows oslo, base and itself; only src/nubo names services;
heavy libraries stay inside the driver that needs them.
"""
import pathlib
import re
import sys

SRC = pathlib.Path(__file__).resolve().parent.parent / "src"
INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.M)
# Library headers that only these folders or files may include.
FENCED = {"libvirt/": "nova/virt/libvirt", "microhttpd.h": "oslo/http oslo/messaging/http", "gnutls/": "oslo/http/tls.c",
          "amqp": "oslo/messaging/amqp",
          "sqlite3.h": "oslo/sql", "mysql.h": "oslo/sql/mariadb", "curl/": "oslo/http/client.c",
          "msgpack.h": "keystone", "yaml.h": "oslo", "pcre2.h": "oslo", "ldap.h": "keystone/ldap",
          "libmemcached": "oslo/cache"}


def may_include(room, other):
    if room == "nubo":
        return True
    if room == "base":
        return other == "base"
    if room == "oslo":
        return other in ("base", "oslo")
    return other in ("base", "oslo", room)


def main():
    rooms = {p.name for p in SRC.iterdir() if p.is_dir()}
    bad = []
    count = 0
    for path in sorted(SRC.rglob("*.[ch]")):
        inside = path.relative_to(SRC)
        room = inside.parts[0]
        text = path.read_text()
        for name in INCLUDE.findall(text):
            count += 1
            other = name.split("/")[0]
            if "/" in name and other in rooms and not may_include(room, other):
                bad.append(f"{inside}: {room} must not include {name}")
            if "/" not in name and (path.parent / name).exists():
                bad.append(f"{inside}: write {path.parent.relative_to(SRC)}/{name}, not {name}")
            for fence, home in FENCED.items():
                if name.startswith(fence) and not any(f"{inside}/".startswith(h + "/") for h in home.split()):
                    bad.append(f"{inside}: only {home} may include {name}")
    for line in bad:
        print(line)
    print(f"{count} includes, {len(bad)} through walls")
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
