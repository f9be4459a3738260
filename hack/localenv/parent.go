// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const parentFlag = "--exit-with-parent="

// parentPoll is how long a program may outlive its parent.
const parentPoll = 250 * time.Millisecond

// takeParent removes --exit-with-parent from a command line and returns the
// process id it names; zero when it is not there.
func takeParent(args []string) (int, []string, error) {
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, parentFlag) })
	if i < 0 {
		return 0, args, nil
	}
	pid, err := strconv.Atoi(strings.TrimPrefix(args[i], parentFlag))
	if err != nil || pid <= 0 {
		return 0, nil, fmt.Errorf("%s is no process id: pass the id of the process that starts this one", args[i])
	}
	return pid, slices.Delete(slices.Clone(args), i, i+1), nil
}

// exitWithout ends this process, without ceremony, once pid is no longer its
// parent. It polls rather than asking the kernel for a signal because that
// signal follows the parent's thread, and a Go program's threads come and go.
func exitWithout(pid int) {
	for os.Getppid() == pid {
		time.Sleep(parentPoll)
	}
	os.Exit(1)
}
