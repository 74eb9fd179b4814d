// Package store keeps what a county media centre must not lose: its fleet,
// the signed envelopes, the clip library, receipts and the reach derived from
// them, emergency messages.
//
// A [Store] lies in SQLite or in PostgreSQL and answers the same from either.
// What a writing method was given is on the disk when it returns nil; those
// who write at once share a commit. SQLite belongs to one process, PostgreSQL
// to as many as like. Clip files lie in a folder, named by hash, that all
// processes must see.
package store
