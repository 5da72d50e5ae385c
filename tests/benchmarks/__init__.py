"""How fast the library is, beside the packages that people would use instead."""
