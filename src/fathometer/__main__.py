"""`python -m fathometer` is the `fathometer` command."""

from fathometer.cli import main

if __name__ == "__main__":
    main()
