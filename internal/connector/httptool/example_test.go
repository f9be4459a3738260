// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool_test

import (
	"context"
	"fmt"
	"net/http"

	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/httptool"
)

const blocklist = `
metadata: {name: blocklist}
spec:
  http: {baseURL: https://blocklist.example.com}
  operations:
  - name: addAddress
    effect: Irreversible
    semantics: Idempotent
    input: [{name: address, type: String}]
    target: {type: Address, name: "${input.address}"}
    request:
      method: PUT
      path: /entries/${input.address}
      body: {address: "${input.address}", note: "Casebook: ${mark}"}
`

func ExampleTry() {
	var object v1alpha1.Connector
	if err := yaml.Unmarshal([]byte(blocklist), &object); err != nil {
		fmt.Println(err)
	}
	request := connector.Request{Operation: "addAddress", Input: map[string]any{"address": "2001:db8::/32"}, Mark: "ida-7f3k2-block"}
	tried, err := httptool.Try(context.Background(), &object, request, func(httptool.Sent) (int, http.Header, []byte) {
		return 409, nil, []byte(`{"detail":"there is such an entry"}`)
	})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(tried.Sent[0].Method, tried.Sent[0].Target)
	fmt.Println(string(tried.Sent[0].Body))
	fmt.Printf("%s: %s\n", tried.Result.Reason, tried.Result.Message)
	// Output:
	// PUT /entries/2001:db8::%2F32
	// {"address":"2001:db8::/32","note":"Casebook: ida-7f3k2-block"}
	// TargetChanged: the target answered 409 Conflict: there is such an entry
}
