#!/usr/bin/env bash
# Installs, checks, builds and tests the page: units in Node, the whole in Chromium.
#
#     web/test.sh
#
# Needs Node 20.19 or newer, josiecodec in the Python that $PYTHON (python3) is, and Chromium, which apt installs where
# it is missing and this is run as root. $CHROMIUM names another one.
set -euo pipefail
cd "$(dirname "$0")"
python=${PYTHON:-python3}
export CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$CHROMIUM" ]; then
  [ "$(id -u)" -eq 0 ] || { echo "$CHROMIUM is missing: apt-get install chromium"; exit 1; }
  apt-get update -q && apt-get install -yq --no-install-recommends chromium
fi
npm ci
npm run check
npm run build
"$python" test/vectors.py test/vectors
npm test
served=$(mktemp)
"$python" -m josiecodec_cli.main serve --port 0 > "$served" &
server=$!
trap 'kill "$server"; rm -f "$served"' EXIT
for _ in $(seq 100); do
  grep -q http "$served" && break
  sleep 0.1
done
address=$(sed -n 's/^\(http[^ ]*\) .*/\1/p' "$served")
node test/browser/run.mjs "$address" test/vectors test/shots
