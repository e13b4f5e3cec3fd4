"""The report as JSON, version 1: ``report.schema.json`` beside this module says what it holds."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Sequence
from typing import SupportsFloat, SupportsIndex

from initaudit.finding import (
    Arithmetic,
    Backward,
    Finding,
    Forward,
    LayerReport,
    NetworkReport,
    Report,
)
from initaudit.network import Interval, Law, Site, Unread
from initaudit.report import Style
from initaudit.report.fingerprint import fingerprints
from initaudit.source.fix.edits import SAFE

VERSION = 1

Value = None | bool | int | float | str | Sequence["Value"] | dict[str, "Value"]


def render(report: Report, style: Style) -> str:
    """Return the report as ASCII JSON with a trailing newline; ``style`` changes nothing.

    Keys come in a fixed order. A number that is not finite is null.
    """
    del style
    return _written(document(report), "") + "\n"


def document(report: Report) -> dict[str, Value]:
    """Return the report as plain dictionaries, lists, strings and finite numbers."""
    marks = fingerprints(report.findings)
    summary = report.summary
    return {
        "version": VERSION,
        "tool": {"name": "initaudit", "version": report.version},
        "findings": [_finding(f, m) for f, m in zip(report.findings, marks, strict=True)],
        "unread": [_unread(u) for u in report.unread],
        "networks": [_network(n) for n in report.networks],
        "summary": {
            "files": summary.files,
            "networks": summary.networks,
            "layers": summary.layers,
            "errors": summary.errors,
            "warnings": summary.warnings,
            "notes": summary.notes,
            "unread": summary.unread,
            "seconds": _number(summary.seconds),
            "ignored": summary.ignored,
            "known": summary.known,
            "rules": dict(summary.rules),
        },
        "failed": report.failed,
        "unused_ignores": [
            {"path": u.site.path, "line": u.site.line, "cell": u.site.cell, "text": u.text}
            for u in report.unused
        ],
        "stale_baseline": [
            {"path": s.path, "rule": s.rule, "place": s.place} for s in report.stale
        ],
    }


def _finding(finding: Finding, mark: str) -> Value:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity.name.lower(),
        "confidence": finding.confidence.name.lower(),
        "message": finding.message,
        **_site(finding.site),
        "facts": {key: _fact(finding.facts[key]) for key in sorted(finding.facts)},
        "fix": _fix(finding),
        "fingerprint": mark,
        "cure": finding.cure,
        "code": finding.code,
        "related": [_site(site) for site in finding.related],
        "symbol": finding.symbol,
        "source": finding.excerpts[0] if finding.excerpts else "",
    }


def _fix(finding: Finding) -> Value:
    if not finding.edits:
        return None
    return {
        "safe": finding.fix in SAFE,
        "edits": [
            {
                "line": edit.line,
                "column": edit.column,
                "end_line": edit.end_line,
                "end_column": edit.end_column,
                "replacement": edit.replacement,
            }
            for edit in finding.edits
        ],
    }


def _unread(unread: Unread) -> Value:
    site = unread.site
    return {
        "path": site.path,
        "line": site.line,
        "reason": unread.reason,
        "column": site.column,
        "tensor": site.tensor,
        "layer": site.layer,
        "cell": site.cell,
    }


def _site(site: Site) -> dict[str, Value]:
    return {
        "path": site.path,
        "line": site.line,
        "column": site.column,
        "end_line": site.end_line,
        "end_column": site.end_column,
        "tensor": site.tensor,
        "layer": site.layer,
        "cell": site.cell,
    }


def _network(network: NetworkReport) -> Value:
    return {
        "path": network.path,
        "name": network.name,
        "origin": network.origin.value,
        "topology": network.topology,
        "assumptions": list(network.assumptions),
        "evidence": list(network.evidence),
        "verdict": network.verdict,
        "measured_under": network.measured_under,
        "activations": list(network.activations),
        "input_rank": _number(network.input_rank),
        "forward_ratio": _number(network.forward_ratio),
        "backward_ratio": _number(network.backward_ratio),
        "effective_rank_min": _number(network.effective_rank_min),
        "effective_rank_min_after_probe": _number(network.effective_rank_min_after_probe),
        "sensitivity": _number(network.sensitivity),
        "coverage": _number(network.coverage),
        "parameters": network.parameters,
        "arithmetic": _arithmetic(network.arithmetic),
        "stopped": [{"layer": layer, "reason": why} for layer, why in network.stopped],
        "layers": [_layer(layer) for layer in network.layers],
    }


def _layer(layer: LayerReport) -> Value:
    return {
        "name": layer.name,
        "op": layer.op,
        "shape": list(layer.shape),
        "activation": layer.activation,
        "law": _law(layer.law),
        "weight": _weight(layer),
        "forward": _forward(layer.forward),
        "backward": _backward(layer.backward),
        "apart": layer.apart,
        "predicted": None
        if layer.predicted is None
        else {"second_moment": _interval(layer.predicted)},
    }


def _arithmetic(told: Arithmetic | None) -> Value:
    if told is None:
        return None
    return {
        "forward_ratio": _interval(told.forward),
        "backward_ratio": _interval(told.backward),
        "chi": _interval(told.chi),
        "depth_scale": _interval(told.depth),
        "layers": told.layers,
    }


def _interval(value: Interval) -> Value:
    return {"low": _number(value.lo), "high": _number(value.hi)}


def _law(law: Law | None) -> Value:
    if law is None:
        return None
    return {"family": law.family, "label": law.label, "others": list(law.others)}


def _weight(layer: LayerReport) -> Value:
    """Return the weight's block; declared weights have a law and a gain but no stored values."""
    tensor = layer.tensor
    if tensor is None and layer.law is None and layer.gain is None:
        return None
    return {
        "tensor": None if tensor is None else tensor.name,
        "dtype": None if tensor is None else tensor.dtype,
        "count": None if tensor is None else tensor.count,
        "mean": None if tensor is None else _number(tensor.mean),
        "std": None if tensor is None else _number(tensor.std),
        "min": None if tensor is None else _number(tensor.minimum),
        "max": None if tensor is None else _number(tensor.maximum),
        "zeros": None if tensor is None else tensor.zeros,
        "nonfinite": None if tensor is None else tensor.nonfinite,
        "law": None if layer.law is None else layer.law.family,
        "gain": _number(layer.gain),
        "histogram": [] if tensor is None else list(tensor.histogram),
    }


def _forward(forward: Forward | None) -> Value:
    if forward is None:
        return None
    return {
        "mean": _number(forward.mean),
        "std": _number(forward.std),
        "second_moment": _number(forward.second_moment),
        "saturated": _number(forward.saturated),
        "dead": _number(forward.dead),
        "effective_rank": _number(forward.effective_rank),
        "cosine": _number(forward.cosine),
        "token_cosine": _number(forward.token_cosine),
        "entropy": _number(forward.entropy),
        "histogram": list(forward.histogram),
        "low": _number(forward.low),
        "high": _number(forward.high),
    }


def _backward(backward: Backward | None) -> Value:
    if backward is None:
        return None
    return {
        "std": _number(backward.std),
        "weight_grad_std": _number(backward.weight_grad_std),
    }


def _fact(fact: float | int | str) -> Value:
    return fact if isinstance(fact, str) else _number(fact)


def _number(value: SupportsFloat | SupportsIndex | None) -> int | float | None:
    """Return a plain finite number, whatever kind of number it was, or None."""
    if value is None:
        return None
    if isinstance(value, SupportsIndex):
        return operator.index(value)
    plain = float(value)
    return plain if math.isfinite(plain) else None


def _written(value: Value, margin: str) -> str:
    """Return JSON indented by two spaces, but lists of scalars (histograms, shapes) on one line."""
    inner = margin + "  "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(k)}: {_written(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        lines = [inner + _written(v, inner) for v in value]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    return json.dumps(value, ensure_ascii=True, allow_nan=False, default=operator.index)
