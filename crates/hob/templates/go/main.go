// An HTTP server on $PORT.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		response.Header().Set("content-type", "text/plain")
		fmt.Fprintf(response, "hello from {name}, you asked for %s\n", request.URL)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+port, nil))
}
