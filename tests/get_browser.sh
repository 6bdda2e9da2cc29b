#!/bin/sh
# The browser tests need a Chromium: use the one that is here, else Debian's, else Playwright's own.
set -eu
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core
else
    "${VENV:-.venv}/bin/python" -m playwright install chromium
fi
