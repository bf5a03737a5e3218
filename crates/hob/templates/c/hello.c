/* A CGI program (RFC 3875): one process for each request. */
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *path = getenv("PATH_INFO");
    printf("Content-Type: text/plain\r\n\r\n");
    printf("hello from {name}, you asked for %s\n", path ? path : "/");
    return 0;
}
