/* Hello in C: the same CGI program, as a WASI preview 1 module. */
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *path = getenv("PATH_INFO");
    printf("content-type: text/plain\n\nHello from C in WASM at %s\n", path ? path : "");
    return 0;
}
