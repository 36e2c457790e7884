// Command registry serves an in-memory OCI registry for tests on the address given. Repositories
// below broken/ take a tag once and never again; blobs below slow/ come after ten seconds.
package main

import (
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	inner := registry.New(registry.Logger(log.New(os.Stdout, "", 0)))
	var written sync.Map
	s := http.Server{Addr: os.Args[1], ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case r.Method == http.MethodPut && strings.HasPrefix(path, "/v2/broken/") && strings.Contains(path, "/manifests/"):
			if _, again := written.LoadOrStore(path, true); again {
				http.Error(w, "out of order", http.StatusInternalServerError)
				return
			}
		case r.Method == http.MethodGet && strings.HasPrefix(path, "/v2/slow/") && strings.Contains(path, "/blobs/"):
			select {
			case <-time.After(10 * time.Second):
			case <-r.Context().Done():
				return
			}
		}
		inner.ServeHTTP(w, r)
	})}
	log.Fatal(s.ListenAndServe())
}
