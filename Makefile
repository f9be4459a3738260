# `make help` lists the targets. Go, make and git are all that is needed: tools
# and the control plane are built from source into bin.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CONTROLLER_GEN := go tool -modfile=hack/tools/go.mod controller-gen
LINTER := bin/golangci-lint
FRESH := bin/.verify# the go command skips names that begin with a dot
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION)
TESTFLAGS ?= -timeout 20m
BENCHFLAGS ?=

##@ Everyday

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: assets build ## Run the use case from alert to verified evidence; KEEP=1 leaves it up to explore.
	KEEP=$(KEEP) go run ./test/demo

.PHONY: test
test: assets ## Run every test: unit, property, API rules, controllers, scenarios, crashes.
	go test $(TESTFLAGS) ./...
	cd hack/localenv && CGO_ENABLED=0 go test -trimpath $(TESTFLAGS) ./...

.PHONY: lint
lint: $(LINTER) ## Check style, API conventions and common mistakes.
	$(LINTER) run ./...

.PHONY: bench
bench: assets build ## Measure the rates and sizes we promise, each against its bound; BENCHFLAGS=-json for a machine to read.
	go run ./test/bench $(BENCHFLAGS)

.PHONY: verify-harness
verify-harness: assets ## Put known bugs into the code, one at a time, and want a test to find each; prints the catch rate.
	go run ./test/harness $(HARNESSFLAGS)

##@ Building

.PHONY: build
build: ## Build bin/casebook and bin/kubectl-casebook.
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: generate
generate: ## Generate deep copies, custom resource definitions and roles from the Go sources.
	@rm -f config/crd/casebook.dev_*.yaml
	@$(call generate-into,.)

.PHONY: verify
verify: ## Fail if a generated file is not up to date.
	@rm -rf $(FRESH)
	@$(call generate-into,$(FRESH))
	@(cd $(FRESH) && find . -type f) | sort > $(FRESH).want
	@find . -path ./bin -prune -o \( -name 'zz_generated.*.go' -o -path './config/crd/casebook.dev_*.yaml' \
		-o -path ./config/rbac/role.yaml \) -print | sort > $(FRESH).have
	@diff -u $(FRESH).have $(FRESH).want && while read -r file; do diff -u $$file $(FRESH)/$$file || exit 1; done < $(FRESH).want || \
		{ echo "generated files are not up to date: run make generate and commit the result" >&2; exit 1; }

.PHONY: assets
assets: bin/assets/kubectl bin/mailpit ## Build what tests and demo run on: the control plane (etcd, kube-apiserver, kubectl) and a mail server.

.PHONY: clean
clean: ## Remove all that was built.
	rm -rf bin

# The last link that the build makes stands for all: make looks through it at
# bin/localenv, which is rebuilt only when its module changes.
bin/assets/kubectl: hack/localenv/build $(filter-out %_test.go,$(wildcard hack/localenv/*.go)) hack/localenv/go.mod hack/localenv/go.sum
	@hack/localenv/build

bin/mailpit: hack/mailpit/build hack/mailpit/go.mod hack/mailpit/go.sum
	@hack/mailpit/build

$(LINTER): hack/tools/lint/go.mod hack/tools/lint/go.sum
	@echo "building the linter from source: about 6 minutes the first time" >&2
	@mkdir -p bin
	cd hack/tools/lint && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o ../../../$(LINTER) \
		sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
	@touch $(LINTER)

# generate-into writes the generated files under a directory that mirrors the
# repository; sources that do not exist yet generate nothing.
define generate-into
	set -e; \
	if [ -d api/v1alpha1 ]; then \
		mkdir -p $(1)/api/v1alpha1 $(1)/config/crd; \
		$(CONTROLLER_GEN) object:headerFile=hack/boilerplate.go.txt crd paths=./api/... \
			output:object:dir=$(1)/api/v1alpha1 output:crd:dir=$(1)/config/crd; \
	fi; \
	if grep -rqs '+kubebuilder:rbac' internal/controller; then \
		mkdir -p $(1)/config/rbac; \
		$(CONTROLLER_GEN) rbac:roleName=casebook-controllers paths=./internal/controller/... \
			output:rbac:dir=$(1)/config/rbac; \
	fi
endef
