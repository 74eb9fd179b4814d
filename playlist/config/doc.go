// Package config reads dalaba.toml, the one file that tells a controller what
// to do, into a [playlist.Programme]; [Decode] reads the county's file as
// strictly into a struct.
//
// It is strict. Of a text that is no TOML it reports the first error, with file,
// line, column and what is expected there. Otherwise it reports every problem at
// once: an unknown key, a wrong type, a cron spec that never fires, a playlist
// that does not exist. One slip is one problem: what stands in the wrong place or
// under a wrong name is reported, and read as if it were right. Each [Problem]
// names the file, the line, the key and the remedy, in Chinese or in English. The
// package opens no file: the caller passes the text as bytes, and a [Library]
// knows the clips. Of the paths in the text it looks up only whether they exist
// and where their links lead.
package config
