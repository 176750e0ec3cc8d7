"""`python -m app`: opens the explorer, and builds what its first page needs.

1. Streamlit serves `app/main.py` at once; a browser is opened unless told otherwise.
2. The demo models that are missing are built one after another, each in a process of its own; the Overview shows how far
   they are, and each can be opened as soon as it is done. Others are built when somebody asks for them on a page.
3. Ctrl-C, or the end of any one part that the others need, ends everything.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from app.shell.builder import Builder, planned
from app.shell.environment import DATA_DIR_VARIABLE, PROGRESS_VARIABLE
from backend.catalog import DEFAULT_DATA_DIR
from backend.errors import CodescopeError, UsageError

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
STOP_SECONDS = 8.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until stopped; returns the exit status."""
    options = _parser().parse_args(arguments)
    for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # a shell may have had Ctrl-C ignored
        signal.signal(stop, _interrupt)
    try:
        return _run(options)
    except KeyboardInterrupt:
        print("\nStopped. What was half built goes on from there next time.", file=sys.stderr)
        return 0
    except CodescopeError as error:
        print(str(error), file=sys.stderr)
        return error.exit_status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Build what is missing and open the explorer.")
    parser.add_argument("--port", type=int, default=8501, help="port to listen on (8501)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1: only this machine)")
    parser.add_argument(
        "--data-dir", default=str(DEFAULT_DATA_DIR), help="where checkpoints and builds are (data_cache)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument(
        "--demo",
        nargs="+",
        metavar="NAME",
        help="models to build now if they are not built (the first few of the gallery); none: only on demand",
    )
    return parser


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(options: argparse.Namespace) -> int:
    host, port, data_dir = options.host, options.port, Path(options.data_dir).expanduser().resolve()
    check_port(host, port)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"The data directory {data_dir} cannot be made: {error.strerror}. Give another with --data-dir."
        ) from error
    models = planned(data_dir, options.demo)
    with tempfile.TemporaryDirectory(prefix="codescope-") as folder:
        progress = Path(folder) / "progress.json"
        builder = Builder(data_dir, progress, models)
        server = _serve(host, port, data_dir, progress)
        voice = Voice(server)
        voice.start()
        try:
            url = _wait(server, host, port)
            print(f"Codescope is open at {url} (Ctrl-C ends it)", file=sys.stderr)
            if models:
                print(f"Being built meanwhile: {', '.join(models)}. The first page shows how far.", file=sys.stderr)
            builder.start()  # only now, so that the server starts as fast as it can
            if not options.no_browser:
                threading.Thread(target=webbrowser.open, args=[url], daemon=True).start()
            status = server.wait()
            raise CodescopeError(
                f"The web server ended by itself with status {status}. Its last words are above; start again."
            )
        finally:
            voice.quiet = server.poll() is None
            builder.stop()
            _stop(server)
            voice.join(2)


def check_port(host: str, port: int) -> None:
    """Raise `UsageError` where that is no address, `CodescopeError` where something else listens there."""
    if not 1 <= port <= 65535:
        raise UsageError(f"{port} is not a port. Give a number from 1 to 65535 with --port.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise UsageError(
            f"{host!r} is not an address of this machine ({error.strerror}). Give one with --host, e.g. 127.0.0.1."
        ) from error
    except OSError as error:
        raise CodescopeError(
            f"Port {port} on {host} cannot be used: {error.strerror}. Perhaps the explorer is open already; "
            f"stop it or choose another port, e.g. --port {port + 1 if port < 65535 else 8501}."
        ) from error


def _serve(host: str, port: int, data_dir: Path, progress: Path) -> subprocess.Popen[bytes]:
    settings = {
        "server.address": host,
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "runner.magicEnabled": "false",
        "server.maxUploadSize": 10,
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "viewer",
        "client.showErrorDetails": "none",
        "logger.level": "warning",
        "theme.base": ROOT / "app" / "theme.toml",
    }
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py")]
    for name, value in settings.items():
        command += [f"--{name}", str(value)]
    environment = {**os.environ, DATA_DIR_VARIABLE: str(data_dir), PROGRESS_VARIABLE: str(progress)}
    # A session of its own: Ctrl-C reaches this process alone, which then ends the server in its own time.
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


class Voice(threading.Thread):
    """Repeats what the server says on stderr, until it is told to be quiet: its parting words are noise."""

    def __init__(self, server: subprocess.Popen[bytes]) -> None:
        """Listen to `server`."""
        super().__init__(daemon=True)
        self._server = server
        self.quiet = False

    def run(self) -> None:
        """Repeat line by line."""
        assert self._server.stderr is not None
        for line in self._server.stderr:
            if not self.quiet:
                sys.stderr.write(line.decode("utf-8", "replace"))


def _wait(server: subprocess.Popen[bytes], host: str, port: int) -> str:
    """Wait until the server answers; returns the address for a browser."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    url = f"http://{reachable}:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise CodescopeError(
                f"The web server stopped with status {server.returncode} before it was ready; its reason is above."
            )
        try:
            with opener.open(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return url
        except OSError:
            time.sleep(0.1)
    raise CodescopeError(
        f"The web server did not answer at {url} within {START_SECONDS:g} seconds. Try again, or another --port."
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, kindly at first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
