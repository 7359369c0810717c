"""One module or package for each way to get vectors."""
