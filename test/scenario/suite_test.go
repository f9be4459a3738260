// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/test/fixture/controlplane"
	"github.com/casebook-dev/casebook/test/fixture/site"
)

// stage is what all stories of a test run share: one control plane, one operator, and the programs that people use.
var stage struct {
	root     string // of the repository
	dir      string // for the files of this run
	plane    *controlplane.Plane
	admin    client.Client
	operator *operator

	mu      sync.Mutex
	configs map[string]string // kubeconfig files by person
	secrets []string          // of every tenant: no log may show one
}

// people are the users of every story, and their groups.
var people = map[string][]string{
	"ana":   {"soc-analysts"},
	"mia":   {"soc-leads"},
	"max":   {"soc-leads"},
	"pia":   {"soc-engineers", "soc-platform"},
	"eve":   {"visitors"},
	"admin": {"system:masters"},
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	flag.Parse()
	if !flagGiven("test.parallel") {
		_ = flag.Set("test.parallel", "4") // a story waits more than it computes
	}
	err := prepare()
	if err == nil {
		code = m.Run()
	}
	if err = errors.Join(err, tearDown()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func flagGiven(name string) (given bool) {
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	return given
}

// prepare builds the programs while the control plane starts.
func prepare() (err error) {
	if stage.root, err = controlplane.Root(); err != nil {
		return err
	}
	if stage.dir, err = os.MkdirTemp("", "scenario-"); err != nil {
		return err
	}
	built := make(chan error, 1)
	go func() { built <- build(filepath.Join(stage.dir, "bin")) }()
	stage.plane, err = controlplane.Start(controlplane.Options{
		Root: stage.root, Manifests: site.Manifests(),
		Controllers: controlplane.Cleanup,
	})
	if err = errors.Join(err, <-built); err != nil {
		return err
	}
	if stage.admin, err = client.New(stage.plane.Config(), client.Options{Scheme: kube.Scheme()}); err != nil {
		return err
	}
	stage.configs = map[string]string{}
	for name, groups := range people {
		if stage.configs[name], err = stage.plane.Kubeconfig(name, groups...); err != nil {
			return err
		}
	}
	stage.operator, err = newOperator(context.Background())
	return err
}

// build makes the operator and the plugin with the flags of `make build`, so that one build cache serves both.
func build(into string) error {
	command := exec.Command("go", "build", "-trimpath", "-o", into+string(filepath.Separator), "./cmd/casebook", "./cmd/kubectl-casebook")
	command.Dir, command.Env = stage.root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	return nil
}

func tearDown() error {
	var errs []error
	if stage.operator != nil {
		errs = append(errs, stage.operator.stop())
	}
	if stage.plane != nil {
		errs = append(errs, stage.plane.Stop())
	}
	if stage.dir != "" {
		errs = append(errs, os.RemoveAll(stage.dir))
	}
	return errors.Join(errs...)
}

// alone finds stories that stop or kill the operator, which all others need.
var alone = regexp.MustCompile(`(?m)^operator `)

// TestStories runs every story: first those that can share the operator, beside each other, then the others one by one.
func TestStories(t *testing.T) {
	dependOnSources(t)
	files, err := filepath.Glob("*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var together, oneByOne []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if alone.Match(text) {
			oneByOne = append(oneByOne, file)
		} else {
			together = append(together, file)
		}
	}
	t.Run("together", func(t *testing.T) { tell(t, together...) })
	for _, file := range oneByOne {
		t.Run("alone", func(t *testing.T) { tell(t, file) })
	}
	noSecretsLogged(t)
}

func tell(t *testing.T, files ...string) {
	testscript.Run(t, testscript.Params{Files: files, Setup: setup, Cmds: commands, RequireUniqueNames: true})
}

// dependOnSources looks at every file that the programs are made of, so that the go command does not take a result from
// its cache after one of them changed.
func dependOnSources(t *testing.T) {
	for _, part := range []string{"api", "cmd", "config", "internal", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(stage.root, part), func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// noSecretsLogged wants that the operator's log shows no token and no key.
func noSecretsLogged(t *testing.T) {
	log := stage.operator.logged()
	stage.mu.Lock()
	defer stage.mu.Unlock()
	for _, secret := range stage.secrets {
		if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("the operator logged a secret: …%s…", log[max(0, at-200):at])
		}
	}
}
