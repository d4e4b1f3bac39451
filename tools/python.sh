#!/bin/sh
# Print the Python to use: $PYTHON if set, else that of .venv, else the first of 3.11 to 3.14 that can make a .venv.
set -eu

usable='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'
complete='import venv, ensurepip'
incomplete=''

for name in ${PYTHON:-.venv/bin/python python3 python3.14 python3.13 python3.12 python3.11}; do
    "$name" -c "$usable" >/dev/null 2>&1 || continue
    if "$name" -c "$complete" >/dev/null 2>&1; then
        command -v "$name"
        exit 0
    fi
    incomplete=${incomplete:-$name}
done

if [ -n "$incomplete" ]; then
    package=$("$incomplete" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    echo "casemate: $incomplete has no 'venv' module (with 'ensurepip'); the package $package brings it:" >&2
    echo "    apt-get install $package" >&2
else
    echo "casemate: no Python 3.11 to 3.14 found${PYTHON:+ at PYTHON=$PYTHON}; install one, or name it: make PYTHON=/path/to/python3" >&2
fi
exit 1
