package main

import (
	"context"
	"fmt"
	"os"

	"github.com/kmodseal/kmodseal/e2e/secureboot/fetch"
)

func main() {
	ctx := context.Background()
	c := fetch.Cache{Dir: os.Args[1]}
	fmt.Println(fetch.Tools(ctx))
	b, err := c.Boot(ctx)
	fmt.Printf("%+v %v\n", b, err)
	for _, s := range os.Args[2:] {
		k, err := c.Kernel(ctx, s)
		fmt.Printf("%+v %v\n", k, err)
	}
}
