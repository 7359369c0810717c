"""One module per framework or store; import the one you need."""
