"""axe-core on a page: what it finds, and what it leaves undecided beyond the list of known cases."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

from tests.node_tools import FOLDER as NODE

TAGS: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "EN-301-549", "best-practice")
_RUN: Final = """async ([tags, contrast]) => {
  const runOnly = {type: 'tag', values: tags};
  const rules = {'color-contrast': {enabled: contrast}};
  const found = await axe.run(document, {runOnly, rules, resultTypes: ['violations', 'incomplete']});
  const reasons = node => [...node.any, ...node.all, ...node.none]
    .map(check => (check.data && check.data.messageKey) || check.id).join(' ');
  const lines = rules => rules.flatMap(rule => rule.nodes.map(node => ({
    rule: rule.id, selector: node.target.flat().join(' '), html: node.html, why: reasons(node)})));
  return {violations: lines(found.violations), incomplete: lines(found.incomplete)};
}"""


@dataclass(frozen=True)
class Undecided:
    """A kind of element that axe cannot decide on, and why it is right nevertheless."""

    rule: str
    why: str
    html: str
    reason: str

    def fits(self, found: dict[str, str]) -> bool:
        """Return whether an undecided node is of this kind."""
        same = found["rule"] == self.rule and self.why in found["why"].split()
        return same and re.search(self.html, found["html"]) is not None


@cache
def known_undecided() -> tuple[Undecided, ...]:
    """Return the kinds of `undecided.toml`."""
    entries = tomllib.loads((Path(__file__).parent / "undecided.toml").read_text(encoding="utf-8"))["kind"]
    return tuple(Undecided(**entry) for entry in entries)


@dataclass
class Findings:
    """What axe says about a page, and which kinds of the list were needed for it."""

    said: list[str]
    used: set[Undecided]


async def axe_findings(page: Page, *, contrast: bool = True) -> Findings:
    """Return what axe finds on a page as it is now; the page's policy stays as it is."""
    await page.evaluate(_source())  # a script of the debugger's is no script of the page's
    found: dict[str, Any] = await page.evaluate(_RUN, [TAGS, contrast])
    said = [_line("found", one) for one in found["violations"]]
    used: set[Undecided] = set()
    for one in found["incomplete"]:
        kinds = [kind for kind in known_undecided() if kind.fits(one)]
        used.update(kinds)
        if not kinds:
            said.append(_line("undecided", one))
    return Findings(said, used)


@cache
def _source() -> str:
    return (NODE / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def _line(kind: str, one: dict[str, str]) -> str:
    return f"axe {kind} {one['rule']} ({one['why']}): {one['selector']}  {one['html'][:200]}"
