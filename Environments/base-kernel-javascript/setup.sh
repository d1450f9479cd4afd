#!/bin/bash
# Debian marks its own Python as managed by its packages, so pip gets an environment that comes first on PATH and
# still sees the packages of Debian.
set -euo pipefail
umask 002

venv=/opt/venv
python3 -m venv --system-site-packages "$venv"

# Debian has no kernel for notebooks in JavaScript; PyPI has one, that of Deno.
printf '%s\n' 'deno==2.9.8 --hash=sha256:b1d1318e7deda8efd593aefa8b565a827fe71cf83aeff09d3a5ceb047444ca18' \
    >/tmp/kernel.txt
"$venv/bin/pip" install --no-deps --only-binary :all: --require-hashes -r /tmp/kernel.txt
rm /tmp/kernel.txt
# Notebooks of Orchest name it `javascript`. It asks nobody for newer versions, and prints values without colours, and
# no warning at each start that it may change.
mkdir -p "$venv/share/jupyter/kernels/javascript"
cat >"$venv/share/jupyter/kernels/javascript/kernel.json" <<JSON
{
  "argv": ["$venv/bin/deno", "jupyter", "-q", "--kernel", "--conn", "{connection_file}"],
  "display_name": "JavaScript (Deno)",
  "language": "javascript",
  "env": {"DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
}
JSON

# The user may install into it. With one single id there is nobody else to own it.
chown -R 1000:1000 "$venv" 2>/dev/null || true
chmod -R g+rwX "$venv"
