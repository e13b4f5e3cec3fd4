"""Why a parameter starts as it does."""

from __future__ import annotations

from pathlib import Path

from initaudit.declaring import targets
from initaudit.options import Options, OptionsError
from initaudit.reading import choosing, model
from initaudit.reading.units import Files
from initaudit.reading.values import StopError


def explained(text: str, options: Options) -> str:
    """Return why a parameter, ``FILE.py:Class.path.to.weight``, starts as it does.

    Raises:
        OptionsError: there is no such file, class or parameter.
    """
    from initaudit.reading.explaining import explain

    path, _, rest = text.rpartition(":")
    name, dot, parameter = rest.partition(".")
    if not dot or not parameter:
        raise OptionsError([f"{text}: write FILE.py:Class.parameter, such as net.py:Net.fc.weight"])
    files, catalogue = Files(), targets.catalogue(options)
    cls = targets.classes(files, catalogue, targets.Target(Path(path), name))[0]
    try:
        return explain(model.read(files, catalogue, cls), parameter)
    except StopError as stop:
        where = "" if stop.site is None else f"{stop.site.path}:{stop.site.line}: "
        raise OptionsError([f"{where}{name} is not followed: {stop.reason}"]) from None
    except choosing.ModelError as error:
        raise OptionsError([str(error)]) from None
