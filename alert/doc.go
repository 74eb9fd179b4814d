// Package alert reads emergency messages that others send, in CAP and in China's EBD
// packages, and writes the packages with which EBD requires a receiver to respond.
//
// It is pure: it takes bytes and an [Options] and returns a [Message] with its
// [emergency.Alert], always the same for the same input. It uses no network, no disk
// and no clock. It treats every document as hostile: it reads within fixed limits
// (see [MaxXML], [MaxTar] and the constants beside them), refuses document types and
// entities, and fetches nothing that a document names.
//
// A document that keeps to its schema is [Valid]. One that differs from it in a known
// way is [Tolerated], and its warnings say how. Any other document is refused with an
// error that names each wrong element, in words for an operator's screen.
//
// Comments say how something about EBD is known: [D] from a consultation draft, [R]
// from memory, without a written source. The published standard may differ.
package alert
