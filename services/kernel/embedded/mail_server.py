"""The mail server of the embedded mode: takes every mail and keeps it as a file."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.kernel.atomic_files import private_opener
from services.kernel.ids import new_id


class MailFolder:
    """Keeps mails as files of a folder."""

    def __init__(self, folder: Path) -> None:
        """Keep them in this folder."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    async def handle_DATA(self, _server: object, _session: object, envelope: object) -> str:  # noqa: N802  aiosmtpd calls it so
        """Keep one mail, with whom it is for in front, as SMTP said it."""
        to = ", ".join(getattr(envelope, "rcpt_tos", []))
        content: bytes = getattr(envelope, "content", b"")
        with open(self._folder / f"{new_id()}.eml", "wb", opener=private_opener) as mail:  # noqa: ASYNC230  a small file; Path.open takes no opener
            mail.write(f"X-Envelope-To: {to}\r\n".encode() + content)
        return "250 Kept"


@asynccontextmanager
async def mail_server(folder: Path) -> AsyncIterator[int]:
    """Run the mail server on a free loopback port while the block runs, and yield the port."""
    import asyncio  # noqa: PLC0415  beside the optional extra

    from aiosmtpd.smtp import SMTP  # noqa: PLC0415  comes with the extra `embedded`

    box = MailFolder(folder)
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(box, hostname="localhost", enable_SMTPUTF8=True), "127.0.0.1", 0
    )
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
