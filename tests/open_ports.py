"""Open ports: what a process listens on, by the operating system."""

import psutil


def listening_addresses(pid: int) -> set[tuple[str, int]]:
    """Return the TCP addresses that the process and its children listen on."""
    process = psutil.Process(pid)
    return {
        (connection.laddr.ip, connection.laddr.port)
        for each in (process, *process.children(recursive=True))
        for connection in each.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
