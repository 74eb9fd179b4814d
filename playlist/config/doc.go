// Package config reads dalaba.toml, the one file that tells a controller what
// to do, into a [playlist.Programme]; [Decode] reads the county's file as
// strictly into a struct.
//
// It is strict and tells everything at once: an unknown key, a wrong type, a
// cron spec that never fires, a playlist that does not exist. Each [Problem]
// names the file, the line, the key and the remedy, in Chinese or in English.
// It opens no file: text comes in as bytes, and what it must know about clips
// it asks a [Library]. Of the paths that the text names it asks only whether
// they exist and where their links lead.
package config
