"""Fixers: each takes the expression of a finding and gives back the one to put in its place.

An expression is parsed by itself, so that all of its formatting is kept and the rest of the file
is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import libcst as cst

from initaudit.finding import Fact

Facts = Mapping[str, Fact]
Fixer = Callable[[cst.BaseExpression, Facts], cst.BaseExpression | None]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The text of a fixed expression; ``renamed`` is a bare name that became another."""

    text: str
    renamed: tuple[str, str] | None = None


def rewrite(text: str, fixer: str, facts: Facts) -> Rewritten | None:
    """Return an expression as a fixer writes it, None where it cannot.

    Brackets around the text let it run over several lines, as the place it comes from does.
    """
    newline = "\r\n" if "\r\n" in text else "\r" if "\r" in text else "\n"
    config = cst.PartialParserConfig(default_newline=newline)
    module = cst.Module([], default_newline=newline)
    try:
        expression = cst.parse_expression(f"({text})", config)
    except (cst.ParserSyntaxError, RecursionError):
        return None
    if module.code_for_node(expression) != f"({text})":
        return None
    fixed = FIXERS[fixer](expression, facts)
    if fixed is None:
        return None
    # Outer brackets of a changed node are those put on above.
    code = module.code_for_node(fixed.with_changes(lpar=expression.lpar, rpar=expression.rpar))
    return Rewritten(code[1:-1], _renamed(expression, fixed))


def _renamed(old: cst.BaseExpression, new: cst.BaseExpression) -> tuple[str, str] | None:
    first = old.func if isinstance(old, cst.Call) else old
    second = new.func if isinstance(new, cst.Call) else new
    if isinstance(first, cst.Name) and isinstance(second, cst.Name):
        return None if first.value == second.value else (first.value, second.value)
    return None


def current_name(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``init.xavier_uniform`` to ``init.xavier_uniform_``."""
    return _named(expression, str(facts["now"]).rpartition(".")[2])


def pass_the_function(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``f()`` to ``f``."""
    if not isinstance(expression, cst.Call) or expression.args or _commented(expression):
        return None
    return expression.func


def name_the_std(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``normal_(w, 0.02)`` to ``normal_(w, std=0.02)``: the last argument without a name."""
    if not isinstance(expression, cst.Call) or any(arg.star for arg in expression.args):
        return None
    positional = [i for i, arg in enumerate(expression.args) if arg.keyword is None]
    if not positional:
        return None
    index = positional[-1]
    given = expression.args[index]
    if not _is_number(given.value, facts.get("number")):
        return None
    named = given.with_changes(
        keyword=cst.Name(str(facts["word"])),
        equal=cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace("")),
    )
    args = [*expression.args[:index], named, *expression.args[index + 1 :]]
    return expression.with_changes(args=args)


def tuple_of_classes(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``isinstance(m, A or B)`` to ``isinstance(m, (A, B))``."""
    if not isinstance(expression, cst.Call) or len(expression.args) != 2:
        return None
    kinds = _alternatives(expression.args[1].value)
    if len(kinds) < 2 or _commented(expression.args[1].value):
        return None
    elements = [
        cst.Element(kind, comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")))
        for kind in kinds[:-1]
    ]
    listed = cst.Tuple([*elements, cst.Element(kinds[-1])])
    first, second = expression.args
    return expression.with_changes(args=[first, second.with_changes(value=listed)])


def comprehension(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``[Layer()] * n`` to ``[Layer() for _ in range(n)]``."""
    if not isinstance(expression, cst.BinaryOperation):
        return None
    listed, times = expression.left, expression.right
    if not isinstance(listed, cst.List) or len(listed.elements) != 1 or _commented(expression):
        return None
    element = listed.elements[0]
    words = _words(element.value)
    if not isinstance(element, cst.Element) or words & {"_", "await", "yield"}:
        return None
    repeated = cst.CompFor(
        target=cst.Name("_"),
        iter=cst.Call(cst.Name("range"), [cst.Arg(times)]),
        whitespace_before=cst.SimpleWhitespace(" "),
    )
    closing = listed.rbracket
    if isinstance(element.comma, cst.Comma) and not _shown(closing.whitespace_before):
        closing = closing.with_changes(whitespace_before=element.comma.whitespace_after)
    return cst.ListComp(element.value, repeated, lbracket=listed.lbracket, rbracket=closing)


def fitting_initialiser(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``init.uniform_(w)`` to ``init.kaiming_uniform_(w)`` or another that fits."""
    if not isinstance(expression, cst.Call) or len(expression.args) != 1 or "fits" not in facts:
        return None
    callee = _named(expression.func, str(facts["fits"]))
    return None if callee is None else expression.with_changes(func=callee)


def wrap_in_parameter(expression: cst.BaseExpression, facts: Facts) -> cst.BaseExpression | None:
    """``torch.randn(n, requires_grad=True)`` to ``nn.Parameter(torch.randn(n))``."""
    if not isinstance(expression, cst.Call) or _last_word(expression.func) == "Parameter":
        return None
    wrapper = cst.parse_expression(str(facts["wrapper"]))
    # Without the brackets put on above, which go around the whole.
    written = expression.with_changes(lpar=expression.lpar[1:], rpar=expression.rpar[:-1])
    plain = _without_flag(written)
    if isinstance(plain, cst.Call) and _last_word(plain.func) == "Variable":
        wrapped = plain.with_changes(func=wrapper)
    else:
        wrapped = cst.Call(wrapper, [cst.Arg(plain)])
    if len(wrapped.args) == 1 and _comments(wrapped) == _comments(expression):
        return wrapped
    # A parameter takes a tensor with gradient as well, and no comment is lost.
    return cst.Call(wrapper, [cst.Arg(written)])


def _without_flag(expression: cst.BaseExpression) -> cst.BaseExpression:
    """Return an expression without what asks for a gradient, in the methods called on it too."""
    if not isinstance(expression, cst.Call):
        return expression
    func = expression.func
    if isinstance(func, cst.Attribute) and isinstance(func.value, cst.Call):
        inner = _without_flag(func.value)
        if func.attr.value == "requires_grad_":
            return inner
        if isinstance(inner, cst.Call) and _last_word(inner.func) == "Variable":
            inner = inner.args[0].value if len(inner.args) == 1 else inner
        expression = expression.with_changes(func=func.with_changes(value=inner))
    args = list(expression.args)
    for i, arg in enumerate(args):
        if arg.keyword is None or arg.keyword.value != "requires_grad":
            continue
        if i and i == len(args) - 1:
            args[i - 1] = args[i - 1].with_changes(
                comma=arg.comma, whitespace_after_arg=arg.whitespace_after_arg
            )
        expression = expression.with_changes(args=args[:i] + args[i + 1 :])
        break
    if _last_word(expression.func) == "Variable" and expression.args:
        first, *rest = expression.args
        value = _without_flag(first.value)
        expression = expression.with_changes(args=[first.with_changes(value=value), *rest])
    return expression


def _last_word(func: cst.BaseExpression) -> str:
    if isinstance(func, cst.Attribute):
        return func.attr.value
    return func.value if isinstance(func, cst.Name) else ""


FIXERS: Mapping[str, Fixer] = {
    "current-name": current_name,
    "pass-the-function": pass_the_function,
    "name-the-std": name_the_std,
    "tuple-of-classes": tuple_of_classes,
    "comprehension": comprehension,
    "fitting-initialiser": fitting_initialiser,
    "wrap-in-parameter": wrap_in_parameter,
}


def _shown(space: cst.BaseParenthesizableWhitespace) -> str:
    return cst.Module([]).code_for_node(space)


def _named(expression: cst.BaseExpression, name: str) -> cst.BaseExpression | None:
    if isinstance(expression, cst.Attribute):
        return expression.with_changes(attr=cst.Name(name))
    if isinstance(expression, cst.Name):
        return expression.with_changes(value=name)
    return None


def _is_number(value: cst.BaseExpression, number: Fact | None) -> bool:
    """Return whether an argument may be the number of a finding: a literal must equal it."""
    if isinstance(value, cst.Integer | cst.Float) and isinstance(number, int | float):
        return float(value.evaluated_value) == float(number)
    return not isinstance(value, cst.List | cst.Tuple | cst.SimpleString)


def _alternatives(value: cst.BaseExpression) -> list[cst.BaseExpression]:
    if isinstance(value, cst.BooleanOperation) and isinstance(value.operator, cst.Or):
        return [*_alternatives(value.left), *_alternatives(value.right)]
    return [value]


def _commented(node: cst.CSTNode) -> bool:
    return bool(_comments(node))


def _comments(node: cst.CSTNode) -> list[str]:
    found: list[str] = []
    left: list[cst.CSTNode] = [node]
    while left:
        one = left.pop()
        if isinstance(one, cst.Comment):
            found.append(one.value)
        left += one.children
    return sorted(found)


def _words(node: cst.CSTNode) -> set[str]:
    found: set[str] = set()
    left: list[cst.CSTNode] = [node]
    while left:
        one = left.pop()
        if isinstance(one, cst.Name):
            found.add(one.value)
        elif isinstance(one, cst.Await | cst.Yield):
            found.add("await")
        left += one.children
    return found
