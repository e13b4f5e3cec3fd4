"""The lab: the failures of initialisation, each run on the replica and named by the audit."""
