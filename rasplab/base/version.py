"""The version of rasplab; pyproject.toml and the JupyterLab extension say the same."""

__version__ = "0.1.0"
