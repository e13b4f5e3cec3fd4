"""Archives of torch.export, read without torch: a graph in JSON and weights as raw bytes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from initaudit.checkpoint import pieces
from initaudit.checkpoint.graphs.aten_operators import TABLE
from initaudit.checkpoint.graphs.build import plan
from initaudit.checkpoint.graphs.program import GraphError, Name, Node, Port, Program, ordered
from initaudit.checkpoint.graphs.pt2_archive import GRAPH, Archive, Arrays
from initaudit.checkpoint.stored import Checkpoint, CheckpointError
from initaudit.network import Site, Unread

_WEIGHTS = "data/weights/model_weights_config.json"


_CONSTANTS = "data/constants/model_constants_config.json"


_WHOLE = frozenset({1, 2, 3, 4, 5, 28})


_BOOL = 12


def read_pt2(path: Path) -> Checkpoint:
    """Return the weights of an archive and the plan of its network.

    Raises:
        CheckpointError: it is no archive of torch.export, or nothing of it can be read.
    """
    source = pieces.look(path)
    archive = Archive(source)
    document = archive.document(GRAPH)
    reader = Arrays(archive)
    try:
        module = document["graph_module"]
        specs = [_spec(spec) for spec in module["signature"]["input_specs"]]
        reader.config(_WEIGHTS, weights=True)
        reader.config(_CONSTANTS, weights=False)
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration):
        reason = "its models/model.json does not describe a graph as torch.export writes it"
        raise CheckpointError(source.shown, reason) from None
    unread = list(reader.unread)
    made = None
    try:
        program = ordered(_program(module["graph"], specs, reader))
    except GraphError as fault:
        unread.append(Unread(Site(source.shown), f"{fault}; its weights are judged by their names"))
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration):
        reason = "its graph is damaged; its weights are judged by their names"
        unread.append(Unread(Site(source.shown), reason))
    else:
        made = partial(_planned, program, path.name, source.shown)
    if not reader.weights and unread:
        raise CheckpointError(source.shown, f"holds no array that can be read: {unread[0].reason}")
    return Checkpoint(
        path=source.shown,
        arrays=tuple(reader.weights),
        aliases=reader.aliases,
        unread=tuple(unread),
        graph=made,
    )


def _planned(program: Program, name: str, path: str, shape: tuple[int, ...] | None) -> Any:
    return plan(program, TABLE, name=name, path=path, input_shape=shape)


def _spec(spec: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return kind, name in the graph, and full name of one input of the graph."""
    ((kind, held),) = spec.items()
    match kind:
        case "parameter" | "buffer" | "tensor_constant":
            return kind, held["arg"]["name"], held[f"{kind}_name"]
        case "user_input":
            ((form, arg),) = held["arg"].items()
            return kind, arg["name"] if form == "as_tensor" else "", ""
        case _:
            return kind, "", ""


def _program(
    graph: Mapping[str, Any], specs: list[tuple[str, str, str]], reader: Arrays
) -> Program:
    full = {short: name for kind, short, name in specs if kind != "user_input" and short}
    values = graph["tensor_values"]
    ports = tuple(
        _port(short, values[short]) for kind, short, _ in specs if kind == "user_input" and short
    )
    nodes = tuple(_node(node, full) for node in graph["nodes"])
    outputs = [name for out in graph["outputs"] for name in _names(out)]
    missing = {name for name in full.values() if name not in reader.stored}
    return Program(
        ports, nodes, reader.stored, tuple(full.get(o, o) for o in outputs), 0, frozenset(missing)
    )


def _port(name: str, meta: Mapping[str, Any]) -> Port:
    shape = tuple(n.get("as_int") for n in meta["sizes"])
    return Port(name, shape, meta["dtype"] in _WHOLE, meta["dtype"] == _BOOL)


def _node(node: Mapping[str, Any], full: Mapping[str, str]) -> Node:
    arguments = node["inputs"]
    outputs = [name for out in node["outputs"] for name in _names(out)]
    return Node(
        _operator(node["target"]),
        tuple(_argument(a["arg"], full) for a in arguments),
        tuple(outputs),
        {"names": tuple(a["name"] for a in arguments)},
        _scope(node.get("metadata", {})),
        outputs[0] if outputs else "",
    )


def _operator(target: str) -> str:
    """Return an operator without its overload: ``aten.add`` of torch.ops.aten.add.Tensor."""
    parts = target.removeprefix("torch.ops.").split(".")
    return ".".join(parts[:2])


def _names(out: Mapping[str, Any]) -> list[str]:
    ((form, held),) = out.items()
    match form:
        case "as_tensor" | "as_sym_int" | "as_sym_bool" | "as_sym_float" | "as_optional_tensor":
            if form == "as_optional_tensor":
                return _names(held)
            name = held.get("name") or held.get("as_name")
            return [name] if name else []
        case "as_tensors":
            return [item["name"] for item in held]
        case _:
            return []


def _argument(arg: Mapping[str, Any], full: Mapping[str, str]) -> Any:
    ((form, held),) = arg.items()
    match form:
        case "as_tensor":
            return _name(held["name"], full)
        case "as_tensors":
            return tuple(_name(item["name"], full) for item in held)
        case "as_optional_tensor":
            return _argument(held, full)
        case "as_optional_tensors":
            return tuple(_argument(item, full) for item in held)
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _symbol(held)
        case "as_sym_ints" | "as_sym_floats":
            return tuple(_symbol(item) for item in held)
        case "as_int" | "as_float" | "as_bool" | "as_string" | "as_scalar_type":
            return held
        case "as_ints" | "as_floats" | "as_bools":
            return tuple(held)
        case _:
            return None


def _name(name: str, full: Mapping[str, str]) -> Name:
    return Name(full.get(name, name))


def _symbol(held: Mapping[str, Any]) -> Any:
    ((form, value),) = held.items()
    return Name(value) if form == "as_name" else value


def _scope(metadata: Mapping[str, Any]) -> str:
    """Return the path of the innermost module that a node was made in; a repeat counts as one."""
    stack = metadata.get("nn_module_stack", "")
    innermost = stack.rpartition(";")[2].split(",")
    return innermost[1].partition("@")[0] if len(innermost) > 1 else ""
