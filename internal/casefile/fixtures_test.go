// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile_test

import (
	"strconv"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func raw(text string) *apiextensionsv1.JSON {
	return &apiextensionsv1.JSON{Raw: []byte(text)}
}

func itoa(n int32) string {
	return strconv.Itoa(int(n))
}
