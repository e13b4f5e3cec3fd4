"""Fixes that wrap a tensor, loop over a stack, or add a statement, and where they do not fit."""

from __future__ import annotations

import ast
import textwrap

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.finding import Finding
from initaudit.rulebook import load
from initaudit.source.fix import fix_bytes
from initaudit.source.linting import check_bytes, settle

RULES = load()
CATALOGUE = load_catalogue()
BLOCK = "        "


def lint(content: bytes) -> list[Finding]:
    return settle([check_bytes(content, "example.py", RULES, CATALOGUE)], RULES)


def fixed(text: str) -> str:
    content = text.encode()
    result, _ = fix_bytes(content, lint(content), unsafe=True)
    ast.parse(result)
    again, report = fix_bytes(result, lint(result), unsafe=True)
    assert (again, report.applied) == (result, ())
    return result.decode()


def module(imports: str, base: str, *lines: str) -> str:
    body = "".join(f"{BLOCK}{line}\n" for line in lines)
    return (
        f"{imports}\n\n\nclass Net({base}):\n    def __init__(self, d):\n"
        f"{BLOCK}super().__init__()\n{body}"
    )


NN = "import torch\nimport torch.nn as nn"


def tensors(*lines: str) -> str:
    return module(NN, "nn.Module", *lines)


# A plain tensor becomes a parameter.

WRAPPED = [
    ("torch.randn(d, d, requires_grad=True)", "nn.Parameter(torch.randn(d, d))"),
    ("torch.randn(d, d, requires_grad=True,)", "nn.Parameter(torch.randn(d, d,))"),
    ("torch.randn( d, requires_grad = True, device=d)", "nn.Parameter(torch.randn( d, device=d))"),
    ("torch.randn(d, d).requires_grad_()", "nn.Parameter(torch.randn(d, d))"),
    ("torch.randn(d, d).cuda().requires_grad_(True)", "nn.Parameter(torch.randn(d, d).cuda())"),
    ("torch.randn(d, d, requires_grad=True).cuda()", "nn.Parameter(torch.randn(d, d).cuda())"),
    (
        "torch.autograd.Variable(torch.rand(d, d), requires_grad=True)",
        "nn.Parameter(torch.rand(d, d))",
    ),
    ("(torch.randn(d, d, requires_grad=True))  # w", "(nn.Parameter(torch.randn(d, d)))  # w"),
    (
        "torch.randn(d, d, requires_grad=True); x = f\"{f'{d}'}\"",
        "nn.Parameter(torch.randn(d, d)); x = f\"{f'{d}'}\"",
    ),
]


@pytest.mark.parametrize(("before", "after"), WRAPPED)
def test_a_tensor_is_wrapped_and_asks_for_its_gradient_no_more(before: str, after: str) -> None:
    assert fixed(tensors(f"self.w = {before}")) == tensors(f"self.w = {after}")
    one = f"if d: self.w = {before}"
    assert fixed(tensors(one)) == tensors(f"if d: self.w = {after}")


def test_several_lines_keep_theirs_and_no_comment_is_lost() -> None:
    before = tensors(
        "self.w = torch.randn(\n            d,  # rows\n            d,\n"
        "            requires_grad=True,\n        )",
        "self.v = torch.randn(\n            d,\n            # trained\n"
        "            requires_grad=True,  # so\n        )",
    )
    assert fixed(before) == tensors(
        "self.w = nn.Parameter(torch.randn(\n            d,  # rows\n            d,\n        ))",
        "self.v = nn.Parameter(torch.randn(\n            d,\n            # trained\n"
        "            requires_grad=True,  # so\n        ))",
    )


SPELLED = [
    ("import torch\nfrom torch import nn", "nn.Module", "nn.Parameter", None),
    ("import torch\nfrom torch import nn as n", "n.Module", "n.Parameter", None),
    ("import torch\nimport torch.nn", "torch.nn.Module", "torch.nn.Parameter", None),
    ("import torch", "torch.nn.Module", "torch.nn.Parameter", None),
    ("import torch\nfrom torch.nn import Module, Parameter", "Module", "Parameter", None),
    ("import torch\nfrom torch.nn.parameter import Parameter as P\nfrom torch import nn",
     "nn.Module", "P", None),
    ("from torch import randn\nfrom torch.nn import Module", "Module", "Parameter",
     "from torch import randn\nfrom torch.nn import Module, Parameter"),
    ('"""A."""\nimport os\n\nfrom torch import randn  # a\nfrom torch.nn import Module as M', "M",
     "nn.Parameter",
     '"""A."""\nimport os\n\nfrom torch import nn\nfrom torch import randn  # a\n'
     "from torch.nn import Module as M"),
]  # fmt: skip


@pytest.mark.parametrize(("imports", "base", "name", "then"), SPELLED)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_name_is_the_one_that_the_file_imports(
    imports: str, base: str, name: str, then: str | None, newline: str
) -> None:
    draw = "randn" if "randn" in imports else "torch.randn"
    line = "self.w{} = {}({}, d{})"
    before = module(
        imports, base, *(line.format(i, draw, "d", ", requires_grad=True") for i in (1, 2))
    )
    after = module(then or imports, base, *(f"self.w{i} = {name}({draw}(d, d))" for i in (1, 2)))
    assert fixed(before.replace("\n", newline)) == after.replace("\n", newline)


@pytest.mark.parametrize(
    "text",
    [
        "from torch import randn\nfrom torch.nn import Module as M\nnn = 3\n\n\nclass Net(M):\n"
        "    def __init__(self, d):\n        super().__init__()\n"
        "        self.w = randn(d, d, requires_grad=True)\n",
        f"{NN}\n\n\nclass Net(nn.Module):\n    def __init__(self, d):\n"
        "        self.w = torch.randn(d, d, requires_grad=True)\n        super().__init__()\n",
    ],
    ids=["the name is taken", "the module is not set up yet"],
)
def test_a_parameter_that_could_not_be_registered_is_not_made(text: str) -> None:
    assert [f.rule for f in lint(text.encode()) if f.fix] == ["IA409"]
    assert fixed(text) == text


# One matrix of a stack at a time.


def experts(*lines: str, forward: str = "torch.bmm(x, self.w)", shape: str = "8, d, 4 * d") -> str:
    made = f"self.w = nn.Parameter(torch.empty({shape}))"
    return tensors(made, *lines) + f"\n    def forward(self, x):\n        return {forward}\n"


def loop(call: str, stack: str = "self.w", name: str = "matrix") -> str:
    return f"for {name} in {stack}:\n{BLOCK}    {call}"


LOOPS = [
    ("nn.init.xavier_uniform_(self.w)", loop("nn.init.xavier_uniform_(matrix)")),
    ("nn.init.xavier_uniform_(self.w)  # so", loop("nn.init.xavier_uniform_(matrix)  # so")),
    ("nn.init.xavier_normal_(self.w.data)", loop("nn.init.xavier_normal_(matrix)", "self.w.data")),
    ("nn.init.xavier_uniform_(tensor=self.w)", loop("nn.init.xavier_uniform_(tensor=matrix)")),
    (
        "nn.init.kaiming_uniform_(self.w, a=5**0.5)",
        loop("nn.init.kaiming_uniform_(matrix.T, a=5**0.5)", "self.w.data"),
    ),
    (
        "matrix = d\n        nn.init.xavier_uniform_(self.w)",
        "matrix = d\n        " + loop("nn.init.xavier_uniform_(one_matrix)", name="one_matrix"),
    ),
    (
        "nn.init.xavier_uniform_(\n            self.w,  # all\n\n"
        "            gain=2,\n        )  # so",
        loop(
            "nn.init.xavier_uniform_(\n                matrix,  # all\n\n"
            "                gain=2,\n            )  # so"
        ),
    ),
]


@pytest.mark.parametrize(("before", "after"), LOOPS)
def test_a_stack_is_filled_matrix_by_matrix(before: str, after: str) -> None:
    assert fixed(experts(before)) == experts(after)


def test_tabs_and_line_ends_and_the_mark_of_the_encoding_stay() -> None:
    text = experts("nn.init.xavier_uniform_(self.w)", "self.v = d").replace("    ", "\t")
    content = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    result, _ = fix_bytes(content, lint(content), unsafe=True)
    after = experts(loop("nn.init.xavier_uniform_(matrix)"), "self.v = d").replace("    ", "\t")
    assert result == b"\xef\xbb\xbf" + after.replace("\n", "\r\n").encode()


def test_a_stack_that_is_summed_over_its_last_axis_is_not_turned() -> None:
    for forward in ("self.w @ x", "x @ self.w.transpose(1, 2)", "x @ self.w.mT"):
        before = experts("nn.init.kaiming_normal_(self.w)", forward=forward)
        after = experts(loop("nn.init.kaiming_normal_(matrix)"), forward=forward)
        assert fixed(before) == after


LEFT = {
    "two statements": ("nn.init.xavier_uniform_(self.w); d = 1", "torch.bmm(x, self.w)"),
    "a branch in a line": ("if d: nn.init.xavier_uniform_(self.w)", "torch.bmm(x, self.w)"),
    "a line that goes on": ("if d: \\\n  nn.init.xavier_uniform_(self.w)", "x @ self.w"),
    "a result that is kept": ("w = nn.init.xavier_uniform_(self.w)", "x @ self.w"),
    "names that are taken": (
        "matrix = one_matrix = each_matrix = d\n        nn.init.xavier_uniform_(self.w)",
        "x @ self.w",
    ),
    "stacked along another axis": (
        "nn.init.xavier_uniform_(self.w)", "torch.einsum('btd,dhk->bthk', x, self.w)",
    ),
    "used both ways": ("nn.init.kaiming_uniform_(self.w)", "self.w @ (x @ self.w)"),
    "turned in a way that is not followed": (
        "nn.init.xavier_uniform_(self.w)", "x @ self.w.permute(1, 0, 2)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT)
def test_a_stack_is_left_where_a_loop_may_not_be_right(case: str) -> None:
    line, forward = LEFT[case]
    text = experts(line, forward=forward)
    assert "IA411" in {f.rule for f in lint(text.encode())}
    assert fixed(text) == text


def test_a_stack_of_stacks_is_left() -> None:
    text = experts("nn.init.xavier_uniform_(self.w)", forward="x @ self.w", shape="4, 8, d, d")
    assert "IA411" in {f.rule for f in lint(text.encode())}
    assert fixed(text) == text


# The row for padding.

TABLE = "self.t = nn.Embedding(9, d, padding_idx={})"
ROW = "self.t.weight.data[self.t.padding_idx].zero_()"


@pytest.mark.parametrize(
    "fill",
    ["nn.init.normal_(self.t.weight)", "self.t.weight.data.normal_(0, 0.02)  # small",
     "nn.init.normal_(\n            self.t.weight,\n        )"],
)  # fmt: skip
def test_the_row_for_padding_is_set_to_zero_behind_the_fill(fill: str) -> None:
    assert fixed(tensors(TABLE.format(0), fill)) == tensors(TABLE.format(0), fill, ROW)
    # Where no row is given, the whole table would be meant.
    guarded = f"if self.t.padding_idx is not None:\n{BLOCK}    {ROW}"
    assert fixed(tensors(TABLE.format("d"), fill)) == tensors(TABLE.format("d"), fill, guarded)
    bare = tensors(TABLE.format(0), fill).rstrip("\n")
    assert fixed(bare) == f"{bare}\n{BLOCK}{ROW}"


def test_a_pass_over_all_embeddings_asks_each_for_its_row() -> None:
    text = tensors(TABLE.format(0)) + textwrap.indent(textwrap.dedent(
        """
        def _init_weights(self, module):
            if isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.data.normal_(0.0, 0.02)
        """
    ), "    ")  # fmt: skip
    row = 'if getattr(module, "padding_idx", None) is not None:\n'
    row += " " * 16 + "module.weight.data[module.padding_idx].zero_()\n"
    assert fixed(text) == text + " " * 12 + row


@pytest.mark.parametrize(
    "fill",
    ["nn.init.normal_(self.t.weight); d = 1", "if d: nn.init.normal_(self.t.weight)",
     "self.t.weight.data.normal_(0, 1).mul_(0.02)"],
)  # fmt: skip
def test_a_row_is_left_where_no_statement_fits(fill: str) -> None:
    text = tensors(TABLE.format(0), fill)
    assert "IA407" in {f.rule for f in lint(text.encode())}
    assert fixed(text) == text
