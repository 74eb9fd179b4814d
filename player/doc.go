// Package player turns airings into samples.
//
// A [Player] asks each second what fell due, cues its clips and claims them
// in the [Ledger]; one [Channel] an output owns the device, feeds it without
// a gap, starts each sound at its instant and lets a higher rank cut in
// without a click. What the device consumed is what the as-run log counts.
//
// It is the only importer of beep and go-mp3.
package player
