"""The port of the embedded broker: kept for a folder, so that a consumer finds it again."""

import socket
from pathlib import Path

from services.kernel.embedded.child_process import free_port
from services.kernel.embedded.up import _kept_broker_port


def test_a_folder_keeps_the_port_of_its_broker(tmp_path: Path) -> None:
    """The first start takes the port after that of HTTP, and a later one on another port keeps it."""
    port = free_port()

    first = _kept_broker_port(tmp_path / "data", None, port)
    again = _kept_broker_port(tmp_path / "data", None, free_port())

    assert again == first


def test_the_port_that_is_wanted_is_taken_and_kept(tmp_path: Path) -> None:
    """An option outweighs what was kept, and is kept from then on."""
    _kept_broker_port(tmp_path / "data", None, free_port())

    wanted = _kept_broker_port(tmp_path / "data", 19092, free_port())

    assert wanted == 19092
    assert _kept_broker_port(tmp_path / "data", None, free_port()) == 19092


def test_a_taken_port_is_not_chosen(tmp_path: Path) -> None:
    """Where another program has the port after that of HTTP, a free one is found."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]

        assert _kept_broker_port(tmp_path / "data", None, taken - 1) != taken
