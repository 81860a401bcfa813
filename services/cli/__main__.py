"""The command line as a module: `python -m services.cli` is `samspil`."""

from services.cli.main import main

if __name__ == "__main__":
    main()
