// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scenario tells Casebook's stories: each *.txtar file is a script that testscript
// (github.com/rogpeppe/go-internal) runs in `go test`, and a page of the manual that is tried at each run. All run on one
// real control plane and one real operator; each has a tenant of its own, made of config/samples/runtime-threat, with its
// own token, key and bucket, and a namespace of its own in which its application runs.
//
// One story: go test ./test/scenario -run /together/ask_then_approve (or /alone/operator_killed), with -v to see what
// every command printed.
//
// # What scripts can say
//
// Beside testscript's own commands:
//
//	as PERSON                            the next commands are this person's
//	kubectl ...                          the real kubectl with the plugin, in the tenant's namespace
//	exit-code CODE                       what the last kubectl ended with
//	apply FILE, create FILE              kubectl apply -f, create -f
//	alert FILE                           Falco sends a payload, and the gateway keeps it
//	post [-again] [-to SOURCE] [-header 'NAME: VALUE']... FILE STATUS
//	                                     anybody sends a payload; the gateway's answer is printed
//	expand FILE                          puts variables into a file that a program reads itself
//	sign KEY FILE [AGO]                  sets $SENT and $SIGNATURE for a source that wants a signed time
//	payload FILE bytes|deep N            makes a JSON document of that size or depth
//	workload NAME [LABEL=VALUE...]       a deployment with a pod: $POD, $POD_UID
//	isolated POD                         whether the pod is cut off the network
//	await KIND[/NAME] FIELD=VALUE...     waits for an object and prints it; FIELD is a path in
//	                                     status or a condition; with != it is anything else
//	await-case [FIELD=VALUE...]          waits for a case not met before: $CASE, $CASE_UID
//	let VARIABLE KIND[/NAME] FIELD [FIELD=VALUE]...
//	                                     keeps a field of an object in a variable
//	may USER VERB RESOURCE[/NAME]        waits until the API server knows of a grant
//	verify-evidence CASE                 exports the evidence of a case and verifies it with the public key
//	flip FILE                            changes one byte of a file
//	operator start|stop|kill             ends the operator in order, or at once, and starts it again
//	bucket readonly|writable             lets nothing into the tenant's evidence bucket, or lets it in again
//
// "!" before kubectl, apply, create and isolated means that it must not be so. Nothing sleeps.
//
// People: ana is an analyst; mia and max lead; pia writes configuration and guardrails; eve has no rights; admin is in
// system:masters, whom RBAC denies nothing; responder is the tenant's ServiceAccount for actions.
//
// $SOC and $SHOP are the two namespaces, $TOKEN is what Falco proves itself with, $BUCKET the evidence bucket, $KEY the
// file with the public key of its log, $GATEWAY the gateway's URL. In files that are applied or posted, variables are replaced too.
package scenario
