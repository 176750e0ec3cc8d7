from __future__ import annotations

import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants

from backend.errors import BadInput, CheckpointError
from backend.formats import hub
from backend.jobs.importing import import_checkpoint
from tests.backend.published_tokenizers import SMALL, llamagen_state

COMMIT = "a" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """As much of the hub's interface as its client needs to list and fetch files."""

    files: dict[str, bytes] = {}

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/me/mine"):
            siblings = [{"rfilename": name} for name in self.files]
            tree = [{"type": "file", "path": n, "size": len(d), "oid": "0" * 40} for n, d in self.files.items()]
            data = json.dumps(
                tree if "/tree/" in path else {"id": "me/mine", "sha": COMMIT, "siblings": siblings}
            ).encode()
        elif (name := path.rpartition(f"/me/mine/resolve/{COMMIT}/")[2]) in self.files or (
            name := path.rpartition("/me/mine/resolve/main/")[2]
        ) in self.files:
            data = self.files[name]
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if "/me/mine/" in path else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture()
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, bytes]]:
    """The files of `me/mine`, on a hub of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    use(monkeypatch, f"http://127.0.0.1:{server.server_port}", tmp_path)
    Hub.files = {}
    yield Hub.files
    server.shutdown()
    server.server_close()


def use(monkeypatch: pytest.MonkeyPatch, endpoint: str, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    for module in (huggingface_hub.file_download, huggingface_hub.hf_api, huggingface_hub._snapshot_download):
        for name, value in (
            ("ENDPOINT", endpoint),
            ("HF_HUB_CACHE", str(tmp_path / "hub")),
        ):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.parametrize(
    "address", ["hf:", "hf:name", "hf:a/b/c", "hf:a/b:", "hf:a/b:../c", "hf:a/b:/etc/passwd", "hf:a/b?x:c", "hf:a /b"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match="not an address"):
        hub.fetch(address, folder=False)


def test_a_hub_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use(monkeypatch, "http://127.0.0.1:9", tmp_path)
    for folder, address in ((False, "hf:me/mine:a.pt"), (False, "hf:me/mine"), (True, "hf:me/mine:vqvae")):
        with pytest.raises(CheckpointError, match="cannot be fetched from the Hugging Face hub"):
            hub.fetch(address, folder=folder)
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        import_checkpoint("llamagen", Path("hf:me/mine"), tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_the_one_checkpoint_of_a_repository_is_fetched(served: dict[str, bytes], tmp_path: Path) -> None:
    torch.save({"model": llamagen_state(SMALL)}, tmp_path / "a.pt")
    served |= {"README.md": b"hello", "weights/a.pt": (tmp_path / "a.pt").read_bytes()}
    assert hub.fetch("hf:me/mine", folder=False).read_bytes() == served["weights/a.pt"]
    assert hub.fetch("hf:me/mine:weights/a.pt", folder=False).name == "a.pt"
    Hub.files = {}  # what was fetched once needs no hub
    assert hub.fetch("hf:me/mine:weights/a.pt", folder=False).read_bytes() == served["weights/a.pt"]
    Hub.files = served
    served["b.ckpt"] = b"other"
    with pytest.raises(BadInput, match="2 checkpoints .b.ckpt, weights/a.pt."):
        hub.fetch("hf:me/mine", folder=False)
    with pytest.raises(CheckpointError, match="the repository has no 'c.pt'"):
        hub.fetch("hf:me/mine:c.pt", folder=False)
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        hub.fetch("hf:you/yours:c.pt", folder=False)


def test_a_folder_of_a_repository_is_fetched_without_the_rest(served: dict[str, bytes]) -> None:
    served |= {"vqvae/config.json": b"{}", "unet/model.bin": b"large", "config.json": b"[]"}
    found = hub.fetch("hf:me/mine:vqvae", folder=True)
    assert [file.name for file in found.iterdir()] == ["config.json"] and (found / "config.json").read_bytes() == b"{}"
    assert not (found.parent / "unet").exists()
