"""Names of the environment variables by which `python -m app` tells the server where things are."""

DATA_DIR_VARIABLE = "CODESCOPE_DATA_DIR"
PROGRESS_VARIABLE = "CODESCOPE_PROGRESS"  # file in which the builder says how far it is
