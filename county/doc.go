// Package county is a county media centre: its fleet of controllers, what it
// pushes to them, the emergency messages it passes on, and whom all that
// reached.
//
// A [County] is made of parts, each with its own state: see [New] for what they
// are and which of them know each other. What a county must not lose lies in
// its [store.Store]; what controllers are to do leaves it as signed envelopes
// of package link. Its HTTP handlers serve controllers (clips, enrolment),
// senders of emergency messages, and operators: see routes.go.
package county
