// Command registry serves an in-memory OCI registry for tests on the address
// given. Repositories below broken/ can be read, but no tag can be written.
package main

import (
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	inner := registry.New(registry.Logger(log.New(os.Stdout, "", 0)))
	s := http.Server{Addr: os.Args[1], ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/v2/broken/") && strings.Contains(r.URL.Path, "/manifests/") {
			http.Error(w, "out of order", http.StatusInternalServerError)
			return
		}
		inner.ServeHTTP(w, r)
	})}
	log.Fatal(s.ListenAndServe())
}
