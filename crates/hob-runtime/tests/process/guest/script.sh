# Answers whatever the suite of contracts asks for, once per run.
case $PATH_INFO in
/hello) echo "$REQUEST_METHOD $PATH_INFO $QUERY_STRING" | sed 's/ *$//' ;;
/length) wc -c | tr -d ' ' ;;
/large) head -c 8388608 /dev/zero | tr '\0' y ;;
/drip) while :; do head -c 65536 /dev/zero | tr '\0' y; done ;;
/pause) sleep 0.3; echo paused ;;
/slow) sleep 6; echo late ;;
/crash) echo "cannot go on" >&2; exit 3 ;;
*) printf 'Status: 404 Not Found\nContent-Type: text/plain\n\nnot here\n' ;;
esac
