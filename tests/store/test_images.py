"""Images are pinned by digest: what a registry answers, what a lock may hold, and where tags are refused."""

import json
import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
import yaml

from deploy.images import NoDigest, digest_of, faults, images_in, lock_text

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'a1' * 32}"
NAMES = images_in((ROOT / "deploy/images.in").read_text(encoding="utf-8"))


class Registry(BaseHTTPRequestHandler):
    """A registry by the OCI distribution specification: a token for anybody, digests by token."""

    digests: ClassVar[dict[str, str]] = {
        "library/python/3.12": DIGEST,
        "apache/kafka/4.3.1": DIGEST,
        "broken/image/1": "md5:1",
    }
    realm = ""

    def do_HEAD(self) -> None:
        """Name the digest of a tag, or say where tokens are made."""
        if self.headers["Authorization"] != "Bearer the-token":
            self.send_response(401)
            scheme = f'Bearer realm="{self.realm}",service="registry",scope="pull"'
            self.send_header("WWW-Authenticate", scheme)
        elif digest := self.digests.get(self.path.removeprefix("/v2/").replace("/manifests", "")):
            self.send_response(200)
            self.send_header("Docker-Content-Digest", digest)
        else:
            self.send_response(404)
        self.end_headers()

    def do_GET(self) -> None:
        """Make a token."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"token": "the-token"}).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  named by the class of the library
        """Keep quiet."""


@pytest.fixture
def registry() -> Iterator[str]:
    """Run a registry on the loopback address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        Registry.realm = f"{address}/token"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield address
        server.shutdown()
        thread.join()


def test_a_registry_is_asked_for_the_digest_of_a_tag(registry: str) -> None:
    """The token is got as the registry says; an image without an owner is one of the library."""
    assert digest_of("python:3.12", registry) == DIGEST
    assert lock_text({"KAFKA_IMAGE": "apache/kafka:4.3.1"}, registry).splitlines()[1:] == [
        f"KAFKA_IMAGE=apache/kafka:4.3.1@{DIGEST}"
    ]


@pytest.mark.parametrize("image", ["no/such:1", "broken/image:1"])
def test_an_image_without_a_digest_is_refused(registry: str, image: str) -> None:
    """Nothing is locked by what is no digest."""
    with pytest.raises(NoDigest, match=image):
        digest_of(image, registry)


def test_a_token_is_not_fetched_in_the_clear(registry: str) -> None:
    """A registry that is called by TLS and names a realm without it is refused, as is one that is away."""
    Registry.realm = Registry.realm.replace("http:", "ftp:")

    with pytest.raises(NoDigest, match="without TLS"):
        digest_of("python:3.12", registry)
    with pytest.raises(NoDigest, match="no answer"):
        digest_of("python:3.12", "http://127.0.0.1:9")


def test_a_lock_is_whole() -> None:
    """A missing image, another tag and a tag without a digest are named, each with what to do."""
    locked = {name: f"{image}@{DIGEST}" for name, image in NAMES.items()}

    assert faults(NAMES, locked) == []
    assert faults(NAMES, {}) == [f"{name} is not locked: run `make images`" for name in sorted(NAMES)]
    for broken in ("postgres:18", "postgres:18@sha256:abc", f"postgres:17@{DIGEST}"):
        found = faults(NAMES, {**locked, "POSTGRES_IMAGE": broken})
        assert len(found) == 1
        assert "run `make images`" in found[0]


def test_the_lock_fits_the_names() -> None:
    """Where the lock is written it names every image that is installed, by its digest."""
    lock = ROOT / "deploy/images.lock"

    assert not lock.exists() or faults(NAMES, images_in(lock.read_text(encoding="utf-8"))) == []


def test_nothing_is_installed_by_a_tag_alone() -> None:
    """Finding 15: compose and the recipe take every image of others from the lock, and need it."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    required = re.compile(
        r"\$\{(\w+):\?run make images, and export COMPOSE_ENV_FILES=deploy/images\.lock,\.env\}"
    )
    images = {name: one["image"] for name, one in compose.items() if not one["image"].startswith("samspil:")}
    images["python"] = compose["prepare"]["build"]["args"]["PYTHON_IMAGE"]
    bases = re.findall(r"^FROM (\S+)", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)

    assert {found.group(1) for image in images.values() if (found := required.fullmatch(image))} == set(NAMES)
    assert len(images) == len(NAMES)
    assert bases == ["${PYTHON_IMAGE}", "${PYTHON_IMAGE}"]
