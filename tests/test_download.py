"""Downloads from a server on loopback that misbehaves in every way asked of it."""

import gzip
import hashlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from freeconv.data.download import DownloadError, Patience, fetch

CONTENT = np.random.default_rng(0).bytes(50_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = "mnist/images.bin"
HALF = len(CONTENT) // 2


def send(handler, body, status=200, **headers):
    handler.send_response(status)
    headers = {"Content_Length": len(body)} | headers
    for key, value in headers.items():
        if value is not None:
            handler.send_header(key.replace("_", "-"), str(value))
    handler.end_headers()
    handler.wfile.write(body)


def whole(handler):
    send(handler, CONTENT)


def ranges(handler):
    asked = handler.headers.get("Range")
    if asked is None:
        return send(handler, CONTENT)
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    if start >= len(CONTENT):
        return send(handler, b"", status=416)
    where = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    return send(handler, CONTENT[start:], status=206, Content_Range=where)


def elsewhere(handler):
    send(handler, CONTENT[1:], status=206, Content_Range=f"bytes 1-{len(CONTENT) - 1}/*")


def truncated(handler):
    send(handler, CONTENT[:HALF], Content_Length=len(CONTENT))


def cut_without_length(handler):
    send(handler, CONTENT[:HALF], Content_Length=None)


def wrong(handler):
    send(handler, CONTENT[::-1])


def labelled_as_encoded(handler):
    send(handler, gzip.compress(CONTENT), Content_Encoding="gzip")


def reset(handler):
    truncated(handler)
    linger_for_nothing = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
    handler.connection.close()


def silent(handler):
    handler.server.over.wait(20)


def stalling(handler):
    truncated(handler)
    handler.server.over.wait(20)


def trickling(handler):
    send(handler, b"", Content_Length=len(CONTENT))
    for byte in CONTENT[:400]:
        handler.wfile.write(bytes([byte]))
        if handler.server.over.wait(0.05):
            return


def status(code):
    return lambda handler: send(handler, b"<html>no file</html>", status=code)


def redirect(location):
    return lambda handler: send(handler, b"", status=302, Location=location)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        try:
            reply(self)
        except OSError:  # the client has hung up, as some tests want it to
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    """Answers with its replies in turn, then with the last of them for good."""

    daemon_threads = True
    scheme = "http"

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies, self.asked, self.over = [whole], [], threading.Event()

    @property
    def url(self):
        return f"{self.scheme}://localhost:{self.server_port}"

    def handle_error(self, *_):
        pass

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self.server_close()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server():
    with Server() as server:
        yield server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost that nobody but these tests trusts, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("makes a certificate with the openssl command, which is not there")
    folder = tmp_path_factory.mktemp("certificate")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    paths = ["-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *paths],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture
def secure_server(certificate, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))
    with Server() as server:
        server.scheme = "https"
        server.socket = context.wrap_socket(server.socket, server_side=True)
        yield server


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "downloads" / "images.bin"


@pytest.fixture
def waits():
    """The seconds that were to be waited between attempts; nobody does wait them."""
    return []


@pytest.fixture
def get(server, destination, waits):
    """Fetches the file, from the server as the mirror unless told otherwise."""

    def get(urls=(), mirror=server.url, content="raw", **patience):
        patience = Patience(wait=waits.append, **{"timeout": 10, **patience})
        return fetch(
            NAME, urls, SHA256, destination, mirror=mirror, content=content, patience=patience
        )

    return get


def files(destination):
    return sorted(path.name for path in destination.parent.iterdir())


def assert_arrived(destination):
    assert destination.read_bytes() == CONTENT
    assert files(destination) == [destination.name]


@pytest.mark.parametrize("reply", [whole, ranges])
def test_one_request_where_all_goes_well(get, server, destination, waits, reply, capsys):
    server.replies = [reply]
    result = get(mirror=f"{server.url}/data/")
    assert result == destination
    assert_arrived(destination)
    assert server.asked == [("/data/mnist/images.bin", None)]
    assert waits == []
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "images.bin: 100%" in captured.err


@pytest.mark.parametrize(
    ("replies", "expected_waits"),
    [
        ([status(500), status(500), whole], [1, 2]),
        ([status(503), status(429), status(408), whole], [1, 2, 4]),
        ([truncated, whole], [1]),
        ([truncated, ranges], [1]),
        ([truncated, elsewhere, whole], [1, 2]),
        ([truncated, status(416), whole], [1, 2]),
        ([reset, reset, whole], [1, 2]),
        ([reset, ranges], [1]),
    ],
)
def test_retried_with_longer_and_longer_waits(
    get, server, destination, waits, replies, expected_waits
):
    server.replies = replies
    get()
    assert_arrived(destination)
    assert waits == expected_waits


@pytest.mark.parametrize("slow", [silent, stalling, trickling])
def test_slow_servers_are_left_and_asked_again(get, server, destination, waits, slow):
    server.replies = [slow, ranges]
    get(timeout=0.4)
    assert_arrived(destination)
    assert waits[0] == 1


@pytest.mark.parametrize(
    ("slow", "message"), [(silent, "timed out"), (stalling, "timed out"), (trickling, "too slow")]
)
def test_slow_servers_are_refused_in_the_end(get, server, destination, slow, message):
    server.replies = [slow]
    with pytest.raises(DownloadError, match=rf"{message}.*\(2 attempts\)"):
        get(timeout=0.2, attempts=2)
    assert not destination.exists()


def test_only_the_rest_is_asked_for(get, server, destination):
    server.replies = [truncated, ranges]
    get()
    assert_arrived(destination)
    assert [asked for _, asked in server.asked] == [None, f"bytes={HALF}-"]


def test_a_later_call_resumes(get, server, destination):
    server.replies = [truncated]
    with pytest.raises(DownloadError, match="IncompleteRead"):
        get(attempts=1)
    assert not destination.exists()
    server.replies = [ranges]
    get(attempts=1)
    assert_arrived(destination)
    assert [asked for _, asked in server.asked] == [None, f"bytes={HALF}-"]


def test_a_wrong_first_half_is_not_kept(get, server, destination):
    def wrong_half(handler):
        send(handler, bytes(HALF), Content_Length=len(CONTENT))

    server.replies = [wrong_half, ranges, ranges]
    get()
    assert_arrived(destination)
    assert [asked for _, asked in server.asked] == [None, f"bytes={HALF}-", None]


@pytest.mark.parametrize("reply", [wrong, cut_without_length])
def test_wrong_bytes_are_refused_at_once_and_deleted(get, server, destination, reply):
    server.replies = [reply]
    with pytest.raises(
        DownloadError, match=r"(?m)wrong content, its SHA-256 is [0-9a-f]{64}$"
    ) as error:
        get()
    assert SHA256 in str(error.value)
    assert len(server.asked) == 1
    assert files(destination) == []


@pytest.mark.parametrize("code", [400, 403, 404, 410])
def test_missing_files_are_not_asked_for_again(get, server, destination, code):
    server.replies = [status(code)]
    with pytest.raises(DownloadError, match=f"HTTP {code}"):
        get()
    assert len(server.asked) == 1
    assert files(destination) == []


@pytest.mark.parametrize("reply", [status(500), truncated, reset])
def test_attempts_are_counted(get, server, destination, waits, reply):
    server.replies = [reply]
    with pytest.raises(DownloadError, match=r"\(3 attempts\)"):
        get(attempts=3, backoff=0.5)
    assert len(server.asked) == 3
    assert waits == [0.5, 1]
    assert not destination.exists()


class TestGunzipped:
    def test_headers_may_differ(self, get, server, destination):
        for seconds in (1, 2):
            compressed = gzip.compress(CONTENT, mtime=seconds)
            server.replies = [lambda handler, body=compressed: send(handler, body)]
            destination.unlink(missing_ok=True)
            get(content="gunzipped")
            assert destination.read_bytes() == compressed

    def test_stays_compressed_where_the_server_calls_it_an_encoding(self, get, server, destination):
        server.replies = [labelled_as_encoded]
        get(content="gunzipped")
        assert gzip.decompress(destination.read_bytes()) == CONTENT

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (CONTENT, "damaged gzip file"),
            (gzip.compress(CONTENT)[:-100], "damaged gzip file"),
            (gzip.compress(CONTENT)[:-8] + bytes(8), "damaged gzip file"),
            (gzip.compress(CONTENT[1:]), "wrong content"),
            (b"", "wrong content"),
        ],
    )
    def test_wrong_content_is_refused(self, get, server, destination, body, message):
        server.replies = [lambda handler: send(handler, body)]
        with pytest.raises(DownloadError, match=message):
            get(content="gunzipped")
        assert files(destination) == []

    def test_decompression_bombs_are_refused(self, get, server, destination, monkeypatch):
        monkeypatch.setenv("FREECONV_UNPACKED_GB", f"{2**20 / 2**30}")
        bomb = gzip.compress(bytes(2**23))
        server.replies = [lambda handler: send(handler, bomb)]
        with pytest.raises(DownloadError, match=r"unpacks to more than \d+ bytes; refused"):
            get(content="gunzipped")
        assert files(destination) == []


class TestFolder:
    @pytest.fixture
    def mirror(self, tmp_path):
        (tmp_path / "mirror" / "mnist").mkdir(parents=True)
        return tmp_path / "mirror"

    @pytest.mark.parametrize("kind", [str, lambda path: path])
    def test_copied(self, mirror, destination, kind):
        (mirror / NAME).write_bytes(CONTENT)
        fetch(NAME, [], SHA256.upper(), kind(destination), mirror=kind(mirror))
        assert_arrived(destination)
        assert (mirror / NAME).read_bytes() == CONTENT

    def test_wrong_files_are_refused_and_left_alone(self, mirror, destination):
        (mirror / NAME).write_bytes(b"other")
        with pytest.raises(DownloadError, match=rf"mirror/{NAME}: wrong content"):
            fetch(NAME, [], SHA256, destination, mirror=mirror)
        assert files(destination) == []
        assert (mirror / NAME).read_bytes() == b"other"

    def test_a_folder_of_that_name_is_no_file(self, mirror, destination):
        (mirror / NAME).mkdir()
        with pytest.raises(DownloadError, match=rf"mirror/{NAME}: is a directory"):
            fetch(NAME, [], SHA256, destination, mirror=mirror)
        assert files(destination) == []


class TestSeveralSources:
    def test_in_turn(self, get, secure_server, server, destination):
        server.replies = [status(404)]
        secure_server.replies = [wrong, whole]
        urls = [f"{secure_server.url}/{number}/images.bin" for number in (1, 2, 3)]
        get(urls)
        assert_arrived(destination)
        assert [path for path, _ in secure_server.asked] == ["/1/images.bin", "/2/images.bin"]

    def test_the_mirror_is_enough(self, get, secure_server, destination):
        urls = [f"{secure_server.url}/images.bin"]
        get(urls)
        assert_arrived(destination)
        assert secure_server.asked == []

    def test_halves_of_different_sources_do_not_mix(self, get, secure_server, server, destination):
        server.replies = [truncated]
        secure_server.replies = [ranges]
        urls = [f"{secure_server.url}/images.bin"]
        get(urls)
        assert_arrived(destination)
        assert secure_server.asked == [("/images.bin", None)]

    def test_one_message_when_nothing_helps(self, get, tmp_path, destination):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"https://localhost:{unused.getsockname()[1]}/images.bin"
            with pytest.raises(DownloadError) as error:
                get([url], mirror=tmp_path)
        lines = str(error.value).splitlines()
        assert lines[0] == f"Missing: {NAME} (SHA-256 {SHA256}). Tried:"
        assert lines[1] == f"  - {destination}: no such file or directory"
        assert lines[2] == f"  - {tmp_path / NAME}: no such file or directory"
        assert lines[3].startswith(f"  - {url}: ConnectionRefusedError")
        assert lines[3].endswith("(4 attempts)")
        assert f" put it at {destination} or {tmp_path / NAME}, or name" in lines[4]
        assert lines[4].endswith(f"as `mirror` a folder or URL that has it as {NAME}.")
        assert len(lines) == 5


class TestTrust:
    def test_redirects_are_followed(self, get, secure_server, destination):
        secure_server.replies = [redirect("/moved.bin"), whole]
        get([f"{secure_server.url}/x"], mirror=None)
        assert_arrived(destination)

    def test_redirects_to_plain_http_are_refused(self, get, secure_server, server, waits):
        secure_server.replies = [redirect(f"{server.url}/images.bin")]
        with pytest.raises(DownloadError, match=r"No connection adapters.*http://localhost"):
            get([f"{secure_server.url}/x"], mirror=None)
        assert server.asked == []
        assert waits == []

    def test_unknown_certificates_are_refused(self, get, secure_server, waits, monkeypatch):
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        with pytest.raises(DownloadError, match="certificate verify failed"):
            get([f"{secure_server.url}/x"], mirror=None)
        assert secure_server.asked == []
        assert waits == []

    @pytest.mark.parametrize("url", ["http://localhost/x", "ftp://localhost/x", "/etc/hosts"])
    def test_only_https(self, destination, url):
        with pytest.raises(ValueError, match=f"https://.*{url}.*`mirror`"):
            fetch(NAME, ["https://localhost/x", url], SHA256, destination)


class TestDestination:
    def test_the_right_file_is_kept(self, server, destination):
        destination.parent.mkdir()
        destination.write_bytes(CONTENT)
        fetch(NAME, [], SHA256, destination, mirror=server.url)
        assert server.asked == []

    def test_a_wrong_file_is_replaced(self, server, destination):
        destination.parent.mkdir()
        destination.write_bytes(b"other")
        fetch(NAME, [], SHA256, destination, mirror=server.url)
        assert_arrived(destination)

    def test_a_wrong_file_is_named(self, destination):
        destination.parent.mkdir()
        destination.write_bytes(b"other")
        with pytest.raises(DownloadError, match=f"{destination}: wrong content"):
            fetch(NAME, [], SHA256, destination)


@pytest.mark.parametrize("digest", ["", SHA256[:-1], SHA256[:-1] + "g"])
def test_digest_is_checked(destination, digest):
    with pytest.raises(ValueError, match=rf"`sha256` must be 64 .*'{digest}'"):
        fetch(NAME, [], digest, destination)


def test_content_is_checked(destination):
    with pytest.raises(ValueError, match=r"'zipped'.*raw, gunzipped"):
        fetch(NAME, [], SHA256, destination, content="zipped")


def test_attempts_are_checked():
    with pytest.raises(ValueError, match=r"`attempts` must be at least 1.*0"):
        Patience(attempts=0)
