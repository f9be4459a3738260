// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package expr evaluates every expression that a person writes in Casebook: one
// CEL dialect, several environments, bounded cost.
//
// Conditions are bare CEL ([Env.CompileBool], [Program.EvalBool]). Values are JSON
// whose strings may hold CEL between "${" and "}" ([Env.CompileValue],
// [Template.Render]). A field of a Mapping is bare CEL of any type
// ([Env.Compile], [Program.Eval]).
//
// # The dialect
//
// The standard functions and macros; CEL's strings (version 2, as admission
// policies have them), sets, bindings, two-variable comprehensions, encoders and
// optional types; Kubernetes' ip, cidr, url, regex, quantity, format, semver and
// list functions; the severity constants Informational=1, Low=2, Medium=3, High=4
// and Critical=5; quote(string), which writes a JSON string literal. Lists and maps
// may mix types. Numbers compare across types. The Mapping environment adds the
// functions that build a signal, and there ip() and url() are those, so
// Kubernetes' ip() and url() are absent from it (isIP, isURL and cidr() stay).
// Records of lookups are read with one(list), the only element of a list or
// {found: false}, and speed(places), the greatest speed between sightings in km/h.
//
// # Unknown is not false
//
// [Program.EvalBool] answers True, False or Unknown. What errs, touches a variable
// or field that is absent, or touches a value that is [Unavailable] is Unknown and
// the error says why, unless the rest of the expression decides alone: false &&
// unknown is False, true || unknown is True. A caller must treat Unknown on the
// safe side of its question.
//
// # Bounds
//
// An expression is at most [MaxExpressionSize] code points, costs at most
// [CostLimit], or [WholeCostLimit] where it reads a whole payload once, and the
// values it builds weigh at most [MaxValueSize]. Cost is not time: callers also give the context a deadline, which is checked every
// [InterruptFrequency] steps of a comprehension.
//
// The package is pure: it reads no clock, starts no goroutine and does no I/O.
package expr
