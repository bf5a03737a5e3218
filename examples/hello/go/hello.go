// Hello in Go: a web server on $PORT, standard library only.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("content-type", "text/plain")
		fmt.Fprintf(response, "Hello from Go at %s\n", request.URL.RequestURI())
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
