// Package link is the wire between a controller and its county: what they
// say to each other, how it is signed, and both ends of it.
//
// What the county wants is a set of signed documents, each for a scope: trust,
// members, alerts, manifests. [Accept] is the one gate they pass on a
// controller, whatever carried them: the broker, an answer to a sync, a USB
// stick. It touches no disk and no socket, and each refusal has its own error.
//
// [Controller] is the controller's end, [Edge] and [Publisher] are the
// county's. [Clips] fetches sound by HTTP, [ClipHandler] serves it, [Enrol]
// and [EnrolHandler] make strangers acquainted, [Carrier] is a folder that
// does the same work where there is no line. PROTOCOL.md tells it all in
// words.
package link
