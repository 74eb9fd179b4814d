// Package link is the protocol between a controller and its county: the
// messages, their signatures, and the code of both ends.
//
// The county tells its controllers what to do by signed documents, each for a
// scope: trust, members, alerts and manifests. A controller checks every
// document by [Accept], however it arrived: by the broker, in the response to
// a sync, or on a USB stick. Accept uses no disk and no network, and each
// reason to refuse a document has its own error.
//
// [Controller] is the controller's end, [Edge] and [Publisher] are the
// county's. [Clips] fetches clips by HTTP and [ClipHandler] serves them.
// [Enrol] and [EnrolHandler] introduce a new controller to its county.
// [Carrier] is a folder that carries documents, clips and receipts if there is
// no network. PROTOCOL.md describes the protocol in full.
package link
