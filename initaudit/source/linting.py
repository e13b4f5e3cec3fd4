"""Source files to claims and claims to findings: parse what is worth it, check, ask the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from initaudit.catalogue import Catalogue
from initaudit.claims import Hit, finding, registered
from initaudit.finding import Finding, Unused, unexpected
from initaudit.network import Site, Unread
from initaudit.rulebook import Rule
from initaudit.source.file import File
from initaudit.source.module import Module
from initaudit.source.notebook import Notebook, NotebookError, read_notebook
from initaudit.source.outline import Outline
from initaudit.source.outline_text import outline_text
from initaudit.source.parsing import parse
from initaudit.source.prefilter import worth_parsing
from initaudit.source.project import Project, outline
from initaudit.source.suppress import Ignore, covering, read_ignores
from initaudit.source.text import NotTextError, decode
from initaudit.source.unreached import unreached

TOO_DEEP = "is nested too deeply to be read"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a rule claims of a place, before other files are asked.

    ``symbol`` is the class and function around it, ``excerpts`` are the lines of the place and of
    the related ones, ``ignored`` the places in the file's ignores of those that cover it.
    """

    rule: str
    hit: Hit
    symbol: str = ""
    excerpts: tuple[str, ...] = ()
    ignored: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file came to: claims, its outline, comments that ignore, what was not read."""

    path: str
    claims: tuple[Claim, ...] = ()
    outline: Outline | None = None
    unread: tuple[Unread, ...] = ()
    ignores: tuple[Ignore, ...] = ()


@dataclass(frozen=True, slots=True)
class Settled:
    """The findings of all files; ``ignored`` counts those that a comment ignores."""

    findings: tuple[Finding, ...]
    ignored: int
    unused: tuple[Unused, ...]


def check_bytes(
    content: bytes,
    path: str,
    rules: Mapping[str, Rule],
    catalogue: Callable[[], Catalogue] | Catalogue,
    *,
    always: bool = False,
) -> Checked:
    """Check a file's bytes.

    One that holds nothing to judge is only parsed where it is ``always`` to be, for its syntax.
    """
    notebook: Notebook | None = None
    worth = worth_parsing(content)
    try:
        if path.endswith(".ipynb"):
            notebook = read_notebook(decode(content))
            text = notebook.text
            worth = worth_parsing(text.encode("utf-8", "surrogatepass"))
        else:
            text = decode(content)
    except NotTextError as error:
        if worth or always or b"\0" in content:
            return Checked(path, unread=(Unread(Site(path, line=error.line), error.reason),))
        text = content.decode("latin-1")
        return Checked(path, outline=outline_text(text, path))
    except NotebookError as error:
        return Checked(path, unread=(Unread(Site(path), str(error)),))
    if worth:
        made = catalogue if isinstance(catalogue, Catalogue) else catalogue()
        checked = check_text(text, path, rules, made)
    else:
        parsed = _parsed(text, path) if always else None
        unread = (parsed,) if isinstance(parsed, Unread) else ()
        checked = Checked(
            path, (), outline_text(text, path), unread, read_ignores(text, every=False)
        )
    return checked if notebook is None else _in_cells(checked, notebook)


def check_text(text: str, path: str, rules: Mapping[str, Rule], catalogue: Catalogue) -> Checked:
    """Check the text of one file against the rules that judge source."""
    module = _parsed(text, path)
    if isinstance(module, Unread):
        return Checked(path, unread=(module,))
    file = File(module, catalogue)
    found, unread = _hits(file, rules)
    ignores = read_ignores(text, every=bool(found))
    claims = tuple(
        Claim(
            rule.id,
            hit,
            _symbol(module, hit.site),
            tuple(_excerpt(module, site) for site in (hit.site, *hit.related)),
            covering(ignores, hit.site.line or 0, rule.id, rule.name),
        )
        for rule, hit in found
    )
    try:
        told = outline(file)
    except RecursionError:
        told = outline_text(text, path)
    return Checked(path, claims, told, tuple(unread), ignores)


def settle(checked: Sequence[Checked], rules: Mapping[str, Rule]) -> list[Finding]:
    """Return the findings of all files, without the claims that the project contradicts."""
    return list(settled(checked, rules).findings)


def settled(
    checked: Sequence[Checked],
    rules: Mapping[str, Rule],
    off: Callable[[str, str], bool] = lambda path, rule: False,
) -> Settled:
    """Return what the claims on all files come to.

    Claims of rules that are not in ``rules``, or ``off`` for their path, are left out, then those
    that the project contradicts, then those that another rule at the same place explains.
    """
    project = Project(c.outline for c in checked if c.outline is not None)
    findings: list[Finding] = []
    unused: list[Unused] = []
    ignored = 0
    for one in checked:
        held = [
            claim
            for claim in one.claims
            if claim.rule in rules
            and not off(one.path, claim.rule)
            and not any(project.answers(doubt) for doubt in claim.hit.doubts)
        ]
        held = _one_cause(held, rules)
        used = {i for claim in held for i in claim.ignored}
        findings += [_finding(rules[c.rule], c) for c in held if not c.ignored]
        ignored += sum(1 for claim in held if claim.ignored)
        unused += [
            Unused(Site(one.path, line=ignore.line, cell=ignore.cell), ignore.text)
            for i, ignore in enumerate(one.ignores)
            if i not in used and ignore.ours
        ]
    by_path = {one.path: i for i, one in reversed(list(enumerate(checked)))}
    findings.sort(key=lambda f: (by_path[f.site.path], *_order(f.site), f.rule))
    return Settled(tuple(findings), ignored, tuple(unused))


def _order(site: Site) -> tuple[int, int, int]:
    return site.cell or 0, site.line or 0, site.column or 0


def _parsed(text: str, path: str) -> Module | Unread:
    try:
        return parse(text, path)
    except (SyntaxError, ValueError) as error:
        return Unread(_error_site(error, path), _reason(error))
    except (RecursionError, MemoryError):
        return Unread(Site(path), TOO_DEEP)


def _hits(file: File, rules: Mapping[str, Rule]) -> tuple[list[tuple[Rule, Hit]], list[Unread]]:
    """Return what all rules find; one that fails leaves the others their say."""
    import initaudit.source.checks  # noqa: F401  (they register themselves)

    checks = registered()
    found: list[tuple[Rule, Hit]] = []
    unread: list[Unread] = []
    for rule in rules.values():
        check = checks.get((rule.id, "draw"))
        if check is None:
            continue
        try:
            found += [(rule, hit) for hit in check(file, rule.limits)]
        except RecursionError:
            unread.append(Unread(Site(file.module.path), f"{TOO_DEEP} by {rule.id}"))
        except Exception as error:  # the other rules are still applied
            reason = f"could not be judged by {rule.id}, only by the other rules: "
            reason += unexpected(error)
            unread.append(Unread(Site(file.module.path), reason))
    dead = unreached(file.module.tree) if found else ()
    return [one for one in found if not any(one[1].site.line in lines for lines in dead)], unread


def _one_cause(claims: list[Claim], rules: Mapping[str, Rule]) -> list[Claim]:
    """Leave out claims that another rule, in the same line, already explains."""
    at: dict[tuple[int | None, int | None], set[str]] = {}
    for claim in claims:
        at.setdefault((claim.hit.site.cell, claim.hit.site.line), set()).add(claim.rule)
    return [
        claim
        for claim in claims
        if not at[claim.hit.site.cell, claim.hit.site.line] & set(rules[claim.rule].yields_to)
    ]


def _finding(rule: Rule, claim: Claim) -> Finding:
    made = finding(rule, claim.hit, {}, "")
    return replace(made, symbol=claim.symbol, excerpts=claim.excerpts, fix=claim.hit.fix)


def _symbol(module: Module, site: Site) -> str:
    """Return the classes and functions around a line, outermost first, joined by dots."""
    line = site.line or 0
    around = [
        node
        for node in (*module.classes, *module.functions)
        if node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return ".".join(node.name for node in sorted(around, key=lambda n: n.lineno))


def _excerpt(module: Module, site: Site) -> str:
    line = site.line or 0
    return module.lines[line - 1] if 0 < line <= len(module.lines) else ""


def _in_cells(checked: Checked, notebook: Notebook) -> Checked:
    """Return the same with lines counted in their cells, and the cells that were left out."""

    def moved(site: Site) -> Site:
        if site.line is None:
            return site
        cell, line = notebook.place(site.line)
        end = notebook.place(site.end_line) if site.end_line is not None else (cell, None)
        return replace(site, cell=cell, line=line, end_line=end[1] if end[0] == cell else line)

    def held(hit: Hit) -> Hit:
        return replace(hit, site=moved(hit.site), related=tuple(map(moved, hit.related)))

    broken = [
        Unread(
            Site(checked.path, line=line, cell=cell),
            f"is not Python that can be parsed: {why}; the other cells were judged",
        )
        for cell, line, why in notebook.broken
    ]
    places = [notebook.place(one.line) for one in checked.ignores]
    ignores = tuple(
        replace(one, cell=cell, line=line)
        for one, (cell, line) in zip(checked.ignores, places, strict=True)
    )
    return replace(
        checked,
        claims=tuple(replace(c, hit=held(c.hit)) for c in checked.claims),
        unread=(*broken, *(replace(u, site=moved(u.site)) for u in checked.unread)),
        ignores=ignores,
    )


def _reason(error: SyntaxError | ValueError) -> str:
    if isinstance(error, SyntaxError):
        return f"is not Python 3 that can be parsed: {error.msg}"
    return f"cannot be parsed: {error}"


def _error_site(error: SyntaxError | ValueError, path: str) -> Site:
    line = error.lineno if isinstance(error, SyntaxError) else None
    return Site(path, line=line)
