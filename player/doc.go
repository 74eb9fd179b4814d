// Package player turns airings into samples.
//
// A [Player] asks each second what fell due, cues its clips and claims them
// in the [Ledger]; one [Channel] an output owns the device, feeds it without
// a gap, starts each sound at its instant and lets a higher rank cut in
// without a click. The as-run log counts the frames that the device consumed.
//
// An [Alarm] beside it sounds alerts and the emergency microphone on the same
// channels. An airing is a performance (perform.go), an alert on one output a
// siren; both write each row of the as-run log by an entry (entry.go). A sound
// in line for an output is a [Take], whose states are in phase.go.
//
// It is the only importer of beep and go-mp3.
package player
