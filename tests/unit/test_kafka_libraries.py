"""FastStream has one adapter, and the private parts of aiokafka are used in one module."""

import ast
from pathlib import Path

KERNEL = Path(__file__).parents[2] / "services" / "kernel"
ADAPTER = "consumer/faststream_subscriber.py"
CLIENTS = "kafka/clients.py"
OTHER_PRIVATE_PARTS = {"http/server.py"}
"""uvicorn's."""


def modules() -> dict[str, str]:
    """Return the text of each module of the kernel."""
    return {str(path.relative_to(KERNEL)): path.read_text(encoding="utf-8") for path in KERNEL.rglob("*.py")}


def imports(text: str) -> set[str]:
    """Return the packages that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_one_module_imports_faststream() -> None:
    """Every other module is independent of it."""
    assert {name for name, text in modules().items() if "faststream" in imports(text)} == {ADAPTER}


def test_private_parts_of_aiokafka_are_used_in_one_module() -> None:
    """An upgrade of aiokafka is checked against one file."""
    found = {name for name, text in modules().items() if "SLF001" in text}

    assert found - OTHER_PRIVATE_PARTS == {CLIENTS}


def test_no_class_is_exchanged_elsewhere() -> None:
    """`__class__` is assigned for aiokafka's connections alone."""
    assert {name for name, text in modules().items() if "__class__ =" in text} == {CLIENTS}
