#!/usr/bin/env bash
# From a fresh clone to the first order on PostgreSQL, without containers, and the time of each step. Everything runs
# on free ports of this machine in a directory of its own, and is gone at the end. Needs what `make install` needs, and
# PostgreSQL's programs (Debian: postgresql).
set -euo pipefail
cd "$(dirname "$0")/.."
began=$(date +%s.%N)
make --silent install
exec .venv/bin/python -m tests.production "$began"
