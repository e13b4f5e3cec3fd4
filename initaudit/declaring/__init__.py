"""Models as their source declares them, alone and beside a checkpoint, to a report."""

from initaudit.declaring.fitting import classes_matching
from initaudit.declaring.pairing import audit_live, audit_pair
from initaudit.declaring.realised import declared_checkpoint
from initaudit.declaring.reasons import explained
from initaudit.declaring.source import audit_declared
from initaudit.declaring.targets import Target, chosen, classes, target

__all__ = [
    "Target", "audit_declared", "audit_live", "audit_pair", "chosen", "classes",
    "classes_matching", "declared_checkpoint", "explained", "target",
]  # fmt: skip
