// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// grants writes the commands with which a tenant gives what is missing.
type grants struct {
	account  types.NamespacedName // who acts
	operator types.NamespacedName // who impersonates
}

// rule is the command that lets the account use a verb on a resource in a
// namespace; a role there may also read the namespace itself. It runs as it stands in a POSIX
// shell, and running it again fails without harm.
func (g grants) rule(verb string, on resource, namespace string) string {
	name := strings.Join([]string{"casebook", g.account.Namespace, g.account.Name, verb, on.plural}, "-")
	account := g.account.Namespace + ":" + g.account.Name
	return fmt.Sprintf("kubectl -n %[5]s create role %[1]s --verb=%[2]s --resource=%[3]s && "+
		"kubectl -n %[5]s create rolebinding %[1]s --role=%[1]s --serviceaccount=%[4]s", name, verb, on, account, namespace)
}

// impersonation is the command that lets the operator act as the account.
func (g grants) impersonation() string {
	return fmt.Sprintf("kubectl -n %[1]s create role casebook-impersonate-%[2]s --verb=impersonate --resource=serviceaccounts --resource-name=%[2]s && "+
		"kubectl -n %[1]s create rolebinding casebook-impersonate-%[2]s --role=casebook-impersonate-%[2]s --serviceaccount=%[3]s:%[4]s",
		g.account.Namespace, g.account.Name, g.operator.Namespace, g.operator.Name)
}
