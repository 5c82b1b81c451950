# The project's verbs; `just` lists them. Needs Python 3.11 or later and `pip install uv rust-just`, nothing else.

set positional-arguments

# The project's tools come first.
export PATH := justfile_directory() / ".venv/bin:" + env("PATH")
# Set on some machines; without compiled bytecode every Dagster process starts seconds later.
unexport PYTHONDONTWRITEBYTECODE

# What the environment was made from: when one of these changes, `setup` runs again.
made_from := sha256_file("constraints.txt") + " " + sha256_file("pyproject.toml") + " " + justfile_directory()

_verbs:
    @just --list --unsorted

# make .venv with the pinned versions; does nothing when nothing changed
setup:
    #!/usr/bin/env bash
    set -euo pipefail
    [ "$(cat .venv/made_from 2>/dev/null)" != "{{ made_from }}" ] || exit 0
    [ -x .venv/bin/python ] || uv venv --clear --python '>=3.11,<3.15' .venv
    uv pip sync --python .venv --require-hashes --compile-bytecode constraints.txt
    uv pip install --python .venv --no-deps --no-build-isolation --editable .
    {{ just_executable() }} share_home
    echo "{{ made_from }}" > .venv/made_from

# Dagster's tools read .env in the current folder: with this line all of them share this folder's runs. A DAGSTER_HOME
# that is set wins, and what else stands in .env stays.
[private]
share_home:
    #!/usr/bin/env bash
    set -euo pipefail
    line='DAGSTER_HOME=${DAGSTER_HOME:-'
    { grep -svF "$line" .env || true; echo "$line{{ justfile_directory() }}}"; } > .env.new
    mv .env.new .env

# deliver a dataset in full, change it, deliver the increment, and show what landed
demo *args: setup
    cdp-exports demo "$@"

# open the Dagster UI, its schedules and sensors running
dev *args: setup
    dg dev "$@"

# run the tests with every server they need; `just test -n0 --pdb PATH` for one under the debugger
[no-exit-message]
test *args: setup
    env -u DAGSTER_HOME -u CDP_EXPORTS_CATALOG pytest -n 2 --dist worksteal "$@"    # a test finds no home but its own

# check style, format and the commit hooks over all files
lint: setup
    ruff check
    ruff format --check
    prek run --all-files

# check types
type: setup
    basedpyright

# mend what a tool can mend
fix: setup
    ruff check --fix
    ruff format

# all that must hold before a commit
check: lint type test

# deliver TPC-H tables, refresh and deliver them again, and compare what DuckDB and pyarrow read; `just tpch 0.01` is quick
tpch *args: setup
    python -m scenarios.tpch "$@"

# measure speed against bare Polars and DuckDB
bench *args: setup
    python -m benchmarks "$@"

# pin the versions anew, keeping those that still fit; `just pins --upgrade` takes the newest
pins *args:
    #!/usr/bin/env bash
    set -euo pipefail
    # uv locks unmanaged projects only through a copy that does not say so
    copy=$(mktemp -d)
    trap 'rm -r "$copy"' EXIT
    grep -v '^managed' pyproject.toml > "$copy/pyproject.toml"
    cp constraints.txt "$copy"
    cd "$copy"
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev --no-emit-index-url \
        --custom-compile-command "just pins" pyproject.toml --output-file constraints.txt "$@"
    cp constraints.txt "{{ justfile_directory() }}"
