#!/bin/sh
# A CGI program (RFC 3875): one process for each request; the body comes on standard input.
printf 'Content-Type: text/plain\r\n\r\n'
printf 'hello from {name}, you asked for %s\n' "${PATH_INFO:-/}"
