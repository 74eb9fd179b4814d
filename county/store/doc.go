// Package store keeps what a county media centre must not lose: its fleet,
// the signed envelopes, the clip library, receipts and the reach derived from
// them, emergency messages.
//
// A [Store] lies in SQLite or in PostgreSQL and returns the same from either.
// What a writing method was given is on the disk when it returns nil; callers
// that write at the same time share a commit. SQLite belongs to one process,
// PostgreSQL to any number. Clip files lie in a folder, named by hash, that all
// processes must see.
package store
