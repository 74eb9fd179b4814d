// Package county is a county media centre: its fleet of controllers, what it
// pushes to them, the emergency messages it passes on, and whom all that
// reached.
//
// [County] decides; what it must not lose lies in its [Store]; what
// controllers are to do leaves it as signed envelopes of package link. Its
// HTTP handlers serve controllers (clips, enrolment), those who send emergency
// messages, and operators.
package county
