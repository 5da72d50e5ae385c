"""Weights by name: from the cache, from a server that may fail, or a sentence that helps."""

import hashlib
import http.server
import re
import socket
import threading
from dataclasses import dataclass, field, replace

import pytest

from course_lib.weights import REMOTE, RemoteWeights, fetch_weights, is_downloaded
from course_lib.weights.downloads import BIGGAN, CONVERTED, NVIDIA

CONTENT = bytes(range(256)) * 2000  # half a megabyte
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the local server does next, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    kind: str = "application/octet-stream"
    status: int = 200
    ranges: bool = True
    cut: int | None = None  # bytes after which the connection breaks
    tag: str | None = '"first"'
    asked: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def server():
    plan = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            plan.asked.append(dict(self.headers))
            wanted, same = self.headers.get("Range"), self.headers.get("If-Range")
            start = 0
            if plan.ranges and wanted and same in (None, plan.tag):
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            body = plan.content[start:]
            status = 416 if start >= len(plan.content) else 206 if start else plan.status
            self.send_response(status)
            if status == 416:
                self.send_header("Content-Range", f"bytes */{len(plan.content)}")
            self.send_header("Content-Type", plan.kind)
            self.send_header("Content-Length", str(len(body)))
            if plan.tag:
                self.send_header("ETag", plan.tag)
            self.end_headers()
            self.wfile.write(body[:plan.cut])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        plan.url = f"http://127.0.0.1:{running.server_port}/models/tiny.pkl"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield plan
        running.shutdown()
        thread.join()


@pytest.fixture
def card(server, monkeypatch, tmp_path) -> RemoteWeights:
    """Registered weights called tiny, on the local server; nothing leaves this machine."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COURSE_WEIGHTS", str(tmp_path / "cache"))
    return register(monkeypatch, sha256=DIGEST, url=server.url)


def register(monkeypatch, **changes) -> RemoteWeights:
    tiny = replace(REMOTE["ffhq"], name="tiny", bytes=len(CONTENT), **changes)
    monkeypatch.setitem(REMOTE, "tiny", tiny)
    return tiny


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def names(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


# --- known answers ---

def test_a_download_arrives_whole_and_is_not_repeated(card, cache, server, capfd):
    path = fetch_weights("tiny")
    assert path == cache / "tiny.pkl" and path.read_bytes() == CONTENT
    assert names(cache) == {"tiny.pkl"}
    assert "tiny.pkl" in capfd.readouterr().err, "no progress was shown"
    assert fetch_weights("tiny") == path
    assert len(server.asked) == 1


def test_the_folder_asked_for_goes_before_the_environments(card, cache, tmp_path):
    assert fetch_weights("tiny", folder=str(tmp_path / "own")) == tmp_path / "own" / "tiny.pkl"
    assert not cache.exists()


def test_without_a_folder_it_is_pooch_that_knows_the_place(monkeypatch, tmp_path, card):
    import pooch

    monkeypatch.delenv("COURSE_WEIGHTS")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / f"cache of {project}")
    assert fetch_weights("tiny").parent == tmp_path / "cache of safety-wheels"


def test_a_file_put_there_by_hand_is_taken(card, cache, server):
    cache.mkdir()
    (cache / "tiny.pkl").write_bytes(CONTENT)
    assert fetch_weights("tiny") == cache / "tiny.pkl"
    assert server.asked == []


def test_each_registered_file_says_where_it_is_how_large_and_under_which_license():
    assert {"ffhq", "afhq-cat", "afhq-dog", "afhq-wild", "church", "car"} <= REMOTE.keys()
    for name, one in REMOTE.items():
        assert one.name == name and one.family in ("stylegan2", "biggan")
        assert one.url.startswith((NVIDIA, CONVERTED, BIGGAN)) and one.file_name in one.url
        assert 10**8 < one.bytes < 10**9 and one.resolution in (128, 256, 512, 1024)
        assert one.sha256 is None or re.fullmatch("[0-9a-f]{64}", one.sha256)
        # A size is exact only where the digest shows that the very file was seen.
        assert (one.bytes % 1_000_000 == 0) == (one.sha256 is None)
        assert "non-commercial" in one.license or one.family == "biggan"
    assert len({one.file_name for one in REMOTE.values()}) == len(REMOTE)


# --- laws ---

@pytest.mark.parametrize("tag", ['"first"', None], ids=["with a tag", "without a tag"])
def test_a_broken_download_goes_on_where_it_stopped(card, cache, server, tag, as_users_run_it):
    server.cut, server.tag = 300_000, tag
    with pytest.raises(ConnectionError, match=r"behind the 0\.3 MB"):
        fetch_weights("tiny")
    came = (cache / "tiny.pkl.part").read_bytes()
    assert 200_000 < len(came) < 300_001 and CONTENT.startswith(came)
    assert "tiny.pkl" not in names(cache)
    server.cut = None
    assert fetch_weights("tiny").read_bytes() == CONTENT
    assert server.asked[1]["Range"] == f"bytes={len(came)}-"
    assert names(cache) == {"tiny.pkl"}


def test_a_server_without_ranges_starts_over(card, server, as_users_run_it):
    server.cut, server.ranges = 300_000, False
    with pytest.raises(ConnectionError):
        fetch_weights("tiny")
    server.cut = None
    assert fetch_weights("tiny").read_bytes() == CONTENT


def test_two_versions_of_a_file_are_never_mixed(card, server, monkeypatch, as_users_run_it):
    register(monkeypatch, sha256=None, url=server.url)
    server.cut = 300_000
    with pytest.raises(ConnectionError):
        fetch_weights("tiny")
    server.cut, server.tag, server.content = None, '"second"', CONTENT[::-1]
    assert fetch_weights("tiny").read_bytes() == CONTENT[::-1]


def test_without_tag_and_digest_it_starts_over(card, server, monkeypatch, as_users_run_it):
    register(monkeypatch, sha256=None, url=server.url)
    server.cut, server.tag = 300_000, None
    with pytest.raises(ConnectionError):
        fetch_weights("tiny")
    server.cut = None
    assert fetch_weights("tiny").read_bytes() == CONTENT
    assert "Range" not in server.asked[1]


@pytest.mark.parametrize("rest", [b"", b"too much"])
def test_what_is_left_of_an_earlier_run_does_no_harm(card, cache, server, rest):
    cache.mkdir()
    (cache / "tiny.pkl.part").write_bytes(CONTENT + rest)
    assert fetch_weights("tiny").read_bytes() == CONTENT
    assert names(cache) == {"tiny.pkl"}


def test_without_a_published_digest_the_first_one_is_noted_and_held(
    card, cache, server, monkeypatch, as_users_run_it
):
    register(monkeypatch, sha256=None, url=server.url)
    path = fetch_weights("tiny")
    assert (cache / "tiny.pkl.sha256").read_text().strip() == DIGEST
    assert fetch_weights("tiny") == path
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match=DIGEST):
        fetch_weights("tiny")


# --- errors ---

@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_web_page_is_refused_and_not_kept(card, cache, server, kind, monkeypatch,
                                            as_users_run_it):
    register(monkeypatch, sha256=None, url=server.url)
    server.content, server.kind = b"<!doctype html><html>Quota exceeded</html>", kind
    with pytest.raises(ConnectionError, match=r"web page came|no file of weights") as caught:
        fetch_weights("tiny")
    assert str(cache / "tiny.pkl") in str(caught.value)
    assert not {"tiny.pkl", "tiny.pkl.part", "tiny.pkl.sha256"} & names(cache)


def test_a_web_page_does_not_spoil_what_came_before(card, cache, server, as_users_run_it):
    server.cut = 300_000
    with pytest.raises(ConnectionError):
        fetch_weights("tiny")
    server.kind, server.cut = "text/html", None
    with pytest.raises(ConnectionError, match="web page"):
        fetch_weights("tiny")
    server.kind = "application/octet-stream"
    assert fetch_weights("tiny").read_bytes() == CONTENT


def test_another_file_than_the_registered_one_is_not_kept(card, cache, server, as_users_run_it):
    server.content = CONTENT[::-1]
    with pytest.raises(ValueError, match="another file than the registered one") as caught:
        fetch_weights("tiny")
    assert DIGEST in str(caught.value)
    assert hashlib.sha256(server.content).hexdigest() in str(caught.value)
    assert names(cache) == set()


@pytest.mark.parametrize("status, words", [(404, "404 Not Found"), (503, "503 Service")])
def test_a_servers_refusal_is_told(card, server, status, words, as_users_run_it):
    server.status = status
    with pytest.raises(ConnectionError, match=words):
        fetch_weights("tiny")


def test_offline_the_error_says_what_how_large_from_where_and_where_to(
    card, cache, monkeypatch, as_users_run_it
):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/tiny.pkl"
    register(monkeypatch, sha256=DIGEST, url=url)
    monkeypatch.setitem(REMOTE, "tiny", replace(REMOTE["tiny"], bytes=381_624_121))
    with pytest.raises(ConnectionError) as caught:
        fetch_weights("tiny")
    for part in ("tiny (stylegan2, 1024x1024, 382 MB)", url, f"put it at {cache / 'tiny.pkl'}"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wrong_file_put_there_by_hand_is_refused_and_left_alone(
    card, cache, server, monkeypatch, as_users_run_it
):
    cache.mkdir()
    (cache / "tiny.pkl").write_bytes(b"something else")
    with pytest.raises(ValueError, match=DIGEST):
        fetch_weights("tiny")
    register(monkeypatch, sha256=None, url=server.url)
    (cache / "tiny.pkl").write_bytes(b"<html>Sign in</html>")
    with pytest.raises(ValueError, match="web page"):
        fetch_weights("tiny")
    assert names(cache) == {"tiny.pkl"} and server.asked == []


def test_a_name_that_is_not_registered_brings_the_names_that_are(as_users_run_it):
    with pytest.raises(ValueError, match="'ffhq', 'afhq-cat'"):
        fetch_weights("unicorns")


def test_what_is_in_the_cache_is_known_without_asking_a_server(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_WEIGHTS", str(tmp_path))
    assert not is_downloaded("church")
    (tmp_path / REMOTE["church"].file_name).write_bytes(b"whatever it is")
    assert is_downloaded("church") and not is_downloaded("church", folder=tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="name is 'chapel'"):
        is_downloaded("chapel")
