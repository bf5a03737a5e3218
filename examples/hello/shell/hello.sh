#!/bin/sh
# Hello in shell: the request's body comes on standard input, standard output is the answer.
printf 'content-type: text/plain\n\nHello from sh at %s\n' "$PATH_INFO"
if [ "${CONTENT_LENGTH:-0}" != 0 ]; then tr a-z A-Z; fi
