#!/bin/sh
# Notes: the text of a release. A program on standard input and output, run once for each call.
#
# POST  an event of a release: answers with an event, `desk.noted`, whose data is a section of
#       release notes. The platform publishes it. The id is the one of the event that it is about,
#       so trying again makes no second one.
# GET   answers with all sections that `stats` has kept; asks it by name, through `$http_proxy`.
#
# What becomes of the notes of a release that is deleted, somebody has to decide: until the
# environment says `DELETED=strike`, such an event fails.
set -eu

# Five lines (repository, tag, name, date, address), then the release's own text.
fields() {
    python3 -c '
import json, sys
event = json.load(sys.stdin)
release = event["release"]
for value in (event["repository"]["full_name"], release["tag_name"], release["name"],
              release["published_at"], release["html_url"]):
    print(" ".join((value or "").split()))
sys.stdout.write(release["body"] or "")
'
}

section() {
    read -r repository
    read -r tag
    read -r name
    read -r date
    read -r address
    printf '## %s %s' "$repository" "$tag"
    if [ -n "$name" ] && [ "$name" != "$tag" ]; then printf ': %s' "$name"; fi
    if [ "$deleted" ]; then
        printf ' (deleted)\n'
        cat >/dev/null
        return
    fi
    printf '\n\n'
    if [ -n "$date" ]; then printf 'Released %s. ' "${date%%T*}"; fi
    if [ -n "$address" ]; then printf '<%s>' "$address"; fi
    printf '\n\n'
    cat
    printf '\n'
}

noted() {
    deleted=
    if [ "$HTTP_CE_TYPE" = com.github.release.deleted ]; then
        deleted=yes
        if [ "${DELETED:-}" != strike ]; then
            echo "release $HTTP_CE_SUBJECT is deleted, and nobody has said what becomes of its notes" >&2
            exit 1
        fi
    fi
    # The event is read to its end before a line of it is used: a part of it makes no notes.
    event=$(fields)
    text=$(printf '%s\n' "$event" | section)
    printf 'content-type: text/markdown; charset=utf-8\n'
    printf 'ce-specversion: 1.0\nce-type: desk.noted\nce-source: /desk/notes\n'
    printf 'ce-id: %s\nce-partitionkey: %s\nce-subject: %s\n' "$HTTP_CE_ID" "$HTTP_CE_SOURCE" "$HTTP_CE_SUBJECT"
    printf '\n%s\n' "$text"
}

kept() {
    text=$(python3 -c '
import shutil, sys, urllib.request
with urllib.request.urlopen("http://stats.desk.internal/notes", timeout=10) as answer:
    shutil.copyfileobj(answer, sys.stdout.buffer)
')
    printf 'content-type: text/markdown; charset=utf-8\n\n# Release notes\n\n%s\n' "$text"
}

case $REQUEST_METHOD in
POST) noted ;;
*) kept ;;
esac
