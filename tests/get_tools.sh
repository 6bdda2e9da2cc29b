#!/bin/sh
# What the tests use beside Python packages: a Chromium (the one that is here, else Debian's, else Playwright's own), and
# espeak-ng, whose speech some tests listen to (they are skipped without it).
set -eu
missing=""
browser=""
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then browser="$name"; fi
done
[ -n "$browser" ] || missing="chromium fonts-dejavu-core"
command -v espeak-ng >/dev/null 2>&1 || missing="$missing espeak-ng"
[ -n "$missing" ] || exit 0
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing
elif [ -z "$browser" ]; then
    "${VENV:-.venv}/bin/python" -m playwright install chromium
fi
