// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package standin puts stand-ins for target systems on loopback, and watches and disturbs what reaches them.
//
// A stand-in is an http.Handler that speaks the documented protocol of a kind of system: packages scim, idp and oauth
// hold one each. A [Recorder] serves it: it logs every request with a sequence number before the request is answered, and
// plays the faults it was given: a lost reply, a hang, a reset, an answer of another kind. The stand-in tells the
// recorder what it changed, so that effects can be counted apart from requests.
//
//	directory := scim.New(scim.Options{})
//	target := standin.New(directory)
//	if err := target.Start(); err != nil { … }
//	defer target.Close()
//	target.Inject(standin.Fault{Method: "PATCH", Path: "/scim/v2/Users/*", Times: 1, Do: standin.LoseReply})
//	… // target.URL()
//	target.Requests() // what was asked, in order
//	target.Effects()  // what was changed, in order
//
// Nothing here imports testing: the demo uses the same stand-ins.
package standin
