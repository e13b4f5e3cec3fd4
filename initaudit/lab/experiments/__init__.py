"""The experiments: one module each, with ``TITLE``, ``ABOUT`` and ``run(settings)``."""
