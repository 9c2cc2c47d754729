# SPDX-License-Identifier: Apache-2.0
"""OpenStack's own services, from Debian's packages, as processes beside ours: what interchange is tested against."""
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import time

import requests

import ports

SERVER = """
import sys
from wsgiref.simple_server import make_server, WSGIRequestHandler
port, sys.argv[1:] = int(sys.argv[1]), []
from {module} import {name} as application
class Quiet(WSGIRequestHandler):
    def log_message(self, *ignored):
        pass
make_server("127.0.0.1", port, application(), handler_class=Quiet).serve_forever()
"""


def missing(*packages):
    """Why a test with these Python packages and MariaDB cannot run here, or None."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            return f"python3-{package} is not installed"
    return None if shutil.which("mariadbd") else "mariadb-server is not installed"


class Reference:
    """One service of the reference. `module` and `name`: its WSGI application's factory; `env`: how it finds its configuration."""

    def __init__(self, folder, package, module, name, env):
        self.folder, self.package, self.port = pathlib.Path(folder), package, ports.claim()
        self.program, self.env = SERVER.format(module=module, name=name), dict(os.environ, **env)
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def manage(self, program, *words):
        """Runs one of the package's administrative programs (its module below cmd) and gives what it printed."""
        code = f"import sys; sys.argv[0] = 'program'; from {self.package}.cmd.{program} import main; sys.exit(main())"
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self):
        with open(self.folder / f"{self.package}.log", "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-c", self.program, str(self.port)], env=self.env,
                                            stdout=log, stderr=log)
        for _ in range(3000):
            try:
                requests.get(self.url, timeout=120)
                return self
            except requests.ConnectionError:
                assert self.process.poll() is None, (self.folder / f"{self.package}.log").read_text()[-3000:]
                time.sleep(0.1)
        raise AssertionError("the reference is not ready after 300 s")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
