// Package alert reads emergency messages as others send them, CAP and China's
// EBD packages, and writes the answers that EBD wants.
//
// It is pure: bytes and an [Options] in, a [Message] with its [emergency.Alert]
// out, and the same for the same bytes. No network, no disk, no clock. What
// arrives is taken for hostile: every document is read within fixed bounds
// (see [MaxXML], [MaxTar] and what stands beside them), document types and
// entities are refused outright, and nothing that a document names is fetched.
//
// Three grades: a document that keeps to its schema is [Valid]; one with a
// slip of a known dialect is [Tolerated], and its warnings say which; anything
// else is refused by an error that names each element at fault, in words fit
// for an operator's screen.
//
// Comments mark what is known of EBD: [D] from a consultation draft, [R]
// remembered, and seen nowhere in writing. The published standard may differ.
package alert
