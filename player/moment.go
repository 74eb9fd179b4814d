package player

import "dalaba/playlist/asrun"

// Moment is something that has just happened to an airing or an alert, as
// [Options].Watch is told of it.
type Moment struct {
	Kind MomentKind
	Row  asrun.Row
}

// MomentKind says what happened.
type MomentKind string

const (
	MomentCued     MomentKind = "cued"     // the clip is checked and waits for its instant
	MomentStarted  MomentKind = "started"  // its first frame has left the device
	MomentProgress MomentKind = "progress" // Row.Frames have left so far; about twice a second
	MomentEnded    MomentKind = "ended"    // Row is as the as-run log has it
	MomentSilent   MomentKind = "silent"   // it did not sound; Row says why
)
