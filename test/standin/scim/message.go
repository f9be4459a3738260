// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// contentType is that of every body.
const contentType = "application/scim+json"

// maxBody bounds a request's body, in bytes.
const maxBody = 1 << 20

// maxResults bounds one page of a list.
const maxResults = 200

// problem is an error answer (RFC 7644, section 3.12).
type problem struct {
	status           int
	scimType, detail string
}

func failure(status int, scimType, format string, args ...any) *problem {
	return &problem{status, scimType, fmt.Sprintf(format, args...)}
}

func missing(id string) *problem {
	return failure(http.StatusNotFound, "", "Resource %s not found", id)
}

func (p *problem) write(w http.ResponseWriter) {
	body := map[string]any{"schemas": []string{errorSchema}, "status": strconv.Itoa(p.status), "detail": p.detail}
	if p.scimType != "" {
		body["scimType"] = p.scimType
	}
	write(w, p.status, body)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone
}

// readBody reads a request's object.
func readBody(w http.ResponseWriter, r *http.Request) (map[string]any, *problem) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != contentType && media != "application/json" {
		return nil, failure(http.StatusUnsupportedMediaType, "", "the body must be %s", contentType)
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	var body map[string]any
	if err := decoder.Decode(&body); err != nil || body == nil || decoder.More() {
		return nil, failure(http.StatusBadRequest, "invalidSyntax", "the body is not one JSON object")
	}
	return body, nil
}

// filterForm is all that is understood of RFC 7644, section 3.4.2.2. Names and operators are read in any case of letters.
var filterForm = regexp.MustCompile(`^(?i:(?:urn:ietf:params:scim:schemas:core:2\.0:User:)?userName +eq) +("(?:[^"\\]|\\.)*")$`)

// parseFilter returns the userName that a filter asks for. Its value is a JSON string.
func parseFilter(filter string) (string, *problem) {
	match := filterForm.FindStringSubmatch(filter)
	if match == nil {
		return "", failure(http.StatusBadRequest, "invalidFilter", `only filters of the form userName eq "value" are supported`)
	}
	var value string
	if err := json.Unmarshal([]byte(match[1]), &value); err != nil {
		return "", failure(http.StatusBadRequest, "invalidFilter", "the filter's value is not a JSON string")
	}
	return value, nil
}

// page reads startIndex, which begins at 1, and count (section 3.4.2.4): values below the least mean the least.
func page(query url.Values) (start, count int, _ *problem) {
	number := func(name string, otherwise, least int) (int, *problem) {
		if !query.Has(name) {
			return otherwise, nil
		}
		n, err := strconv.Atoi(query.Get(name))
		if err != nil {
			return 0, failure(http.StatusBadRequest, "invalidValue", "%s is not an integer", name)
		}
		return max(n, least), nil
	}
	start, problem := number("startIndex", 1, 1)
	if problem != nil {
		return 0, 0, problem
	}
	count, problem = number("count", maxResults, 0)
	return start, min(count, maxResults), problem
}

// hasSchema tells whether a body says that it is of the schema.
func hasSchema(body map[string]any, schema string) bool {
	schemas, _ := body["schemas"].([]any)
	for _, have := range schemas {
		if text, ok := have.(string); ok && strings.EqualFold(text, schema) {
			return true
		}
	}
	return false
}
