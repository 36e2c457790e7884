// Command resolvers is Tekton's controller of remote resolution with the bundle
// resolver alone: those for git, hubs and the rest bring what the test has no use for.
package main

import (
	"github.com/tektoncd/pipeline/pkg/apis/resolution/v1alpha1"
	"github.com/tektoncd/pipeline/pkg/remoteresolution/resolver/bundle"
	"github.com/tektoncd/pipeline/pkg/remoteresolution/resolver/framework"
	filtered "knative.dev/pkg/client/injection/kube/informers/factory/filtered"
	"knative.dev/pkg/injection/sharedmain"
	"knative.dev/pkg/signals"
)

func main() {
	ctx := filtered.WithSelectors(signals.NewContext(), v1alpha1.ManagedByLabelKey)
	sharedmain.MainWithContext(ctx, "controller", framework.NewController(ctx, &bundle.Resolver{}))
}
