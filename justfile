# The steps of ./dev, for those who use just.

# list the recipes
default:
    @just --list

# make .venv and install what requirements.lock pins
setup:
    ./dev setup

# a coding session through the proxy, with what it saved
demo *args:
    ./dev demo {{ args }}

# lint and all tests; with arguments just pytest with them
test *args:
    ./dev test {{ args }}

# ruff, mypy, and the documentation
lint:
    ./dev lint

# the documentation as a web site, in .cache/site
docs:
    ./dev docs

# how fast, how much, how faithful
bench *args:
    ./dev bench {{ args }}

# bring requirements.lock up to pyproject.toml
lock *args:
    ./dev lock {{ args }}
