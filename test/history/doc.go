// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package history holds what happened to actions, as a target and the API saw it, against the invariants of the action
// protocol. It knows nothing of how the history was made: by a simulation, or by real processes that were killed.
//
//	I1   what arrives at a target was announced before, with the same key, and each announcement arrives at most once
//	I2   an action has its effect at most once
//	I3   what succeeded was read back as desired after its effect, or acknowledged where nothing can be read, or a person
//	     found that it happened
//	I3'  what is said not to have happened did not, and does not later
//	I4   what needs an approval has one, of exactly this plan, that stood when it was used
//	I6   when all is at rest every action has ended, be it that its outcome is unknown
//	I10  at rest nothing is written
//	I11  no more actions begin unattended in any window than a budget says
package history
