# kmodseal: make help lists the targets.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
export CGO_ENABLED = 0

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STEPS   := $(notdir $(wildcard steps/*))
TOOLS   := $(CURDIR)/.cache/bin
LDFLAGS := -s -w -X github.com/kmodseal/kmodseal/pkg/step.version=$(VERSION)

# Pinned tools, built from source into .cache/bin.
GOFUMPT      := mvdan.cc/gofumpt@v0.12.0
GOLANGCI     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.5.0
CRANE        := github.com/google/go-containerregistry/cmd/crane@v0.22.1
GOVULNCHECK  := golang.org/x/vuln/cmd/govulncheck@v1.9.0
ACTIONLINT   := github.com/rhysd/actionlint/cmd/actionlint@v1.7.12

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the step binaries into bin/
	go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./steps/...

.PHONY: demo
demo: build ## The main job on an embedded registry, with sample modules and a throw-away key
	go run ./e2e/demo -bin bin

.PHONY: oracles
oracles: ## Install the programs that the tests measure against (Debian, root)
	e2e/oracles.sh

# Where the oracles can be installed they are, and then they are required.
.PHONY: test
test: ## All tests that need no virtual machine or cluster
	if e2e/oracles.sh; then export KMODSEAL_REQUIRE_ORACLES=1; fi; \
	  go test ./... && go test -C e2e/tekton/pipelines -count 1 ./...

.PHONY: race
race: ## The tests under the race detector
	command -v gcc >/dev/null || e2e/apt.sh gcc libc6-dev
	CGO_ENABLED=1 go test -race ./pkg/... ./e2e/cli/...

.PHONY: fuzz
fuzz: ## Every fuzz target, FUZZTIME executions of each (default 5000x)
	e2e/fuzz.sh $(or $(FUZZTIME),5000x)

.PHONY: cover
cover: ## Coverage by package
	go test -cover ./pkg/... ./steps/... | grep -v 'no test files'

.PHONY: bench
bench: build $(TOOLS)/crane ## Compare with sign-file, buildah and the shell way, side by side (Debian, root)
	e2e/bench/packages.sh
	PATH=$(TOOLS):$$PATH go run ./e2e/bench -bin bin

.PHONY: e2e-driver
e2e-driver: build $(TOOLS)/crane ## Real drivers from DKMS packages, through a real registry (Debian, root)
	e2e/driver/packages.sh
	KMODSEAL_KERNEL_MODULES=$(CURDIR)/.cache/driver/root/lib/modules go test -count 1 -timeout 30m -v -run KernelPackage ./pkg/modsig/
	go test -tags e2e -count 1 -timeout 20m -v ./e2e/driver/

.PHONY: e2e-secureboot
e2e-secureboot: ## Debian's kernels under Secure Boot in QEMU against verify-kmods (Debian, root)
	go run ./e2e/secureboot/cmd/e2e-secureboot $(SECUREBOOT)

.PHONY: e2e-secureboot-arm64
e2e-secureboot-arm64: ## The same with Debian's arm64 kernel 6.1 (Debian, root)
	go run ./e2e/secureboot/cmd/e2e-secureboot -arch arm64 -kernels 6.1 -scenarios mok,nomok $(SECUREBOOT)

.PHONY: e2e-kernels
e2e-kernels: ## The same with kernels built with other rules: KERNELS=a,b or all (Debian, root)
	go run ./e2e/secureboot/cmd/e2e-secureboot -build $(if $(KERNELS),$(KERNELS),debian-zstd,debian-noima,upstream-camax) $(SECUREBOOT)

.PHONY: e2e-tekton
e2e-tekton: ## The Tasks on a real Kubernetes with a real Tekton (Debian, root)
	e2e/tekton/run.sh
	e2e/tekton/teardown.sh

.PHONY: e2e-github
e2e-github: ## The GitHub actions, the release workflow and the shell recipe, run by act (Debian, root)
	e2e/github/packages.sh
	go test -tags e2e -count 1 -timeout 30m -v ./e2e/github/ ./e2e/cilab/

.PHONY: e2e-gitlab
e2e-gitlab: ## The GitLab components, run by gitlab-ci-local (Debian, root)
	e2e/gitlab/packages.sh
	go test -tags e2e -count 1 -timeout 15m -v ./e2e/gitlab/

.PHONY: images
images: ## OCI images of the steps into dist/images
	go run ./e2e/images -version $(VERSION) -out dist/images

# What .github/workflows/release.yml publishes, but for what needs a network.
# PLATFORMS is for a quicker one; default all.
SNAPSHOT  := dist/snapshot
PLATFORMS :=
.PHONY: snapshot
snapshot: ## A release into dist/snapshot: archives, SBOM, checksums, images, bundle, stamped YAML
	rm -rf $(SNAPSHOT) && mkdir -p $(SNAPSHOT)/yaml
	git ls-files -z tasks actions templates | xargs -0 cp --parents -t $(SNAPSHOT)/yaml
	go run ./e2e/release -version v0.0.0-snapshot $(PLATFORMS:%=-platforms %) -out $(SNAPSHOT) -stamp $(SNAPSHOT)/yaml
	go run ./e2e/images -version v0.0.0-snapshot $(PLATFORMS:%=-platforms %) -out $(SNAPSHOT)/images \
	  -stamp $(SNAPSHOT)/yaml/tasks -bundle $(SNAPSHOT)/yaml/tasks >$(SNAPSHOT)/images.txt
	@cat $(SNAPSHOT)/images.txt

.PHONY: bundle
bundle: ## The Tasks as a Tekton bundle into dist/images/tasks
	go run ./e2e/images -version $(VERSION) -only none -bundle tasks -out dist/images

.PHONY: e2e-release
e2e-release: ## Two snapshots have the same bytes; binaries are static, lists of parts CycloneDX (Debian, root)
	e2e/gitlab/packages.sh
	go test -tags e2e -count 1 -timeout 20m -v ./e2e/release/

.PHONY: vulnerabilities
vulnerabilities: ## What is known of the modules that are linked in (network)
	go run $(GOVULNCHECK) ./...

$(TOOLS)/%:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install $(TOOL)

$(TOOLS)/crane: TOOL = $(CRANE)
$(TOOLS)/gofumpt: TOOL = $(GOFUMPT)
$(TOOLS)/golangci-lint: TOOL = $(GOLANGCI)
$(TOOLS)/actionlint: TOOL = $(ACTIONLINT)

.PHONY: format
format: $(TOOLS)/gofumpt ## Format the Go files
	$(TOOLS)/gofumpt -w $$(git ls-files '*.go')

.PHONY: lint
lint: $(TOOLS)/gofumpt $(TOOLS)/golangci-lint $(TOOLS)/actionlint ## gofumpt, golangci-lint, actionlint, shellcheck
	@unformatted=$$($(TOOLS)/gofumpt -l $$(git ls-files '*.go')); \
	  if [ -n "$$unformatted" ]; then echo "not formatted, run make format:"; echo "$$unformatted"; exit 1; fi
	$(TOOLS)/golangci-lint run ./...
	$(TOOLS)/golangci-lint run --build-tags e2e ./e2e/...
	$(TOOLS)/actionlint
	$(TOOLS)/actionlint e2e/github/workflows/*.yml
	git ls-files '*.sh' .ci/run | xargs shellcheck

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin dist
