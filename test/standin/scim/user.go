// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scim

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// The schemas.
const (
	// CoreSchema is that of users (RFC 7643, section 4.1).
	CoreSchema = "urn:ietf:params:scim:schemas:core:2.0:User"
	// EnterpriseSchema is the enterprise extension (RFC 7643, section 4.3): department and manager.
	EnterpriseSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
	// WorkforceSchema is an extension of our own, as a directory fed by a personnel system has one: privileged, location,
	// employmentStatus and managerEmail.
	WorkforceSchema = "urn:example:params:scim:schemas:extension:workforce:2.0:User"

	listSchema   = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	patchSchema  = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	errorSchema  = "urn:ietf:params:scim:api:messages:2.0:Error"
	configSchema = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
)

// The employment states of the workforce extension.
const (
	Joiner   = "Joiner"
	Employed = "Employed"
	Mover    = "Mover"
	Leaver   = "Leaver"
)

// User is a user of the directory. Empty fields are left out of its representation, Active and Privileged never are.
type User struct {
	// ID is the directory's own.
	ID string
	// UserName is the name to sign in with.
	UserName                                  string
	ExternalID, DisplayName, Title            string
	GivenName, FamilyName                     string
	Email                                     string // the primary one, of type work
	Active                                    bool
	Department, ManagerID, ManagerDisplayName string // the enterprise extension
	Privileged                                bool   // the workforce extension, with the next three
	Location, EmploymentStatus, ManagerEmail  string
}

// document is the user's representation without id, schemas and meta.
func (u User) document() map[string]any {
	out := fill(map[string]any{"active": u.Active}, "userName", u.UserName, "externalId", u.ExternalID, "displayName", u.DisplayName, "title", u.Title)
	if name := fill(map[string]any{}, "givenName", u.GivenName, "familyName", u.FamilyName); len(name) > 0 {
		out["name"] = name
	}
	if u.Email != "" {
		out["emails"] = []any{map[string]any{"value": u.Email, "type": "work", "primary": true}}
	}
	enterprise := fill(map[string]any{}, "department", u.Department)
	if manager := fill(map[string]any{}, "value", u.ManagerID, "displayName", u.ManagerDisplayName); len(manager) > 0 {
		enterprise["manager"] = manager
	}
	if len(enterprise) > 0 {
		out[EnterpriseSchema] = enterprise
	}
	out[WorkforceSchema] = fill(map[string]any{"privileged": u.Privileged},
		"location", u.Location, "employmentStatus", u.EmploymentStatus, "managerEmail", u.ManagerEmail)
	return out
}

// fill sets the names that have a value.
func fill(object map[string]any, pairs ...string) map[string]any {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			object[pairs[i]] = pairs[i+1]
		}
	}
	return object
}

func userOf(id string, document map[string]any) User {
	at := func(path ...string) any {
		var value any = document
		for _, name := range path {
			object, _ := value.(map[string]any)
			value = object[name]
		}
		return value
	}
	text := func(path ...string) string { s, _ := at(path...).(string); return s }
	user := User{
		ID: id, UserName: text("userName"), ExternalID: text("externalId"), DisplayName: text("displayName"), Title: text("title"),
		GivenName: text("name", "givenName"), FamilyName: text("name", "familyName"), Active: at("active") == true,
		Department: text(EnterpriseSchema, "department"), ManagerID: text(EnterpriseSchema, "manager", "value"),
		ManagerDisplayName: text(EnterpriseSchema, "manager", "displayName"), Privileged: at(WorkforceSchema, "privileged") == true,
		Location: text(WorkforceSchema, "location"), EmploymentStatus: text(WorkforceSchema, "employmentStatus"),
		ManagerEmail: text(WorkforceSchema, "managerEmail"),
	}
	if emails, _ := at("emails").([]any); len(emails) > 0 {
		email, _ := emails[0].(map[string]any)
		user.Email, _ = email["value"].(string)
	}
	return user
}

// kind is the type of an attribute's value.
type kind int

const (
	stringKind kind = iota
	booleanKind
	objectKind
	listKind // of objects
)

// attribute is the definition of one attribute (RFC 7643, section 7).
type attribute struct {
	name               string
	kind               kind
	readOnly, required bool
	sub                []attribute
}

// attributes are those of a user: the extensions are objects named by their schema.
var attributes = []attribute{
	{name: "schemas", kind: listKind, readOnly: true},
	{name: "id", readOnly: true},
	{name: "meta", kind: objectKind, readOnly: true},
	{name: "userName", required: true},
	{name: "externalId"}, {name: "displayName"}, {name: "title"},
	{name: "active", kind: booleanKind},
	{name: "name", kind: objectKind, sub: []attribute{{name: "formatted"}, {name: "givenName"}, {name: "familyName"}}},
	{name: "emails", kind: listKind, sub: []attribute{{name: "value"}, {name: "type"}, {name: "display"}, {name: "primary", kind: booleanKind}}},
	{name: EnterpriseSchema, kind: objectKind, sub: []attribute{
		{name: "employeeNumber"}, {name: "costCenter"}, {name: "organization"}, {name: "division"}, {name: "department"},
		{name: "manager", kind: objectKind, sub: []attribute{{name: "value"}, {name: "$ref"}, {name: "displayName", readOnly: true}}},
	}},
	{name: WorkforceSchema, kind: objectKind, sub: []attribute{{name: "privileged", kind: booleanKind}, {name: "location"}, {name: "employmentStatus"}, {name: "managerEmail"}}},
}

// lookup finds an attribute by its name, whatever the case of letters (RFC 7643, section 2.1).
func lookup(among []attribute, name string) (attribute, bool) {
	i := slices.IndexFunc(among, func(a attribute) bool { return strings.EqualFold(a.name, name) })
	if i < 0 {
		return attribute{}, false
	}
	return among[i], true
}

// schemasOf are the schemas that a document uses.
func schemasOf(document map[string]any) []string {
	schemas := []string{CoreSchema}
	for _, name := range slices.Sorted(maps.Keys(document)) {
		if strings.HasPrefix(name, "urn:") {
			schemas = append(schemas, name)
		}
	}
	return schemas
}

// clone copies a document of JSON values.
func clone(document map[string]any) map[string]any {
	raw, err := json.Marshal(document)
	if err != nil {
		panic("a document of JSON values cannot be written: " + err.Error())
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic("what was written as JSON cannot be read: " + err.Error())
	}
	return out
}
