#!/bin/sh
# Notes: the text of a release. A program on standard input and output, run once for each call.
#
# POST  five lines (repository, tag, name, date, address), then the release's own text: answers
#       with a section of release notes.
# GET   answers with all sections that `stats` has kept; asks it by name, through `$http_proxy`.
set -eu

section() {
    read -r repository
    read -r tag
    read -r name
    read -r date
    read -r address
    printf '## %s %s' "$repository" "$tag"
    if [ -n "$name" ] && [ "$name" != "$tag" ]; then printf ': %s' "$name"; fi
    printf '\n\n'
    if [ -n "$date" ]; then printf 'Released %s. ' "${date%%T*}"; fi
    if [ -n "$address" ]; then printf '<%s>' "$address"; fi
    printf '\n\n'
    cat
    printf '\n'
}

kept() {
    printf '# Release notes\n\n'
    python3 -c '
import shutil, sys, urllib.request
with urllib.request.urlopen("http://stats.desk.internal/notes", timeout=10) as answer:
    shutil.copyfileobj(answer, sys.stdout.buffer)
'
}

case $REQUEST_METHOD in
POST) text=$(section) ;;
*) text=$(kept) ;;
esac
printf 'content-type: text/markdown; charset=utf-8\n\n%s\n' "$text"
