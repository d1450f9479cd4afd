#!/bin/bash
# Debian marks its own Python as managed by its packages, so pip gets an environment that comes first on PATH and
# still sees the packages of Debian.
set -euo pipefail
umask 002

venv=/opt/venv
python3 -m venv --system-site-packages "$venv"

# The user may install into it. With one single id there is nobody else to own it.
chown -R 1000:1000 "$venv" 2>/dev/null || true
chmod -R g+rwX "$venv"
