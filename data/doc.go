// Package data keeps what must survive a power cut on the pole: the as-run log
// with its receipts, the cursors of the playlists, the clips, the device log.
//
// All of it is in one folder: the database dalaba.db, its daily backups in
// backup/, the clips in clips/<hash>.mp3, a lock file that the daemon holds,
// and a ballast file that is deleted to make room on a full disk. A [Store] may
// be used by many goroutines, and by other programs beside the daemon; each
// public method is one transaction, durable when it returns.
//
// A damaged or missing database is set aside and the last good backup restored:
// see [Open].
package data
