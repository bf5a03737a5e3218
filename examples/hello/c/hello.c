/* Hello in C: a CGI program. Hob builds it with `cc` and runs it once for each call. */
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *path = getenv("PATH_INFO");
    printf("content-type: text/plain\n\nHello from C at %s\n", path ? path : "");
    return 0;
}
