"""rasplab."""
