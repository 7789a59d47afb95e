"""How do our pages become a site? Small Sphinx extensions of our own."""
