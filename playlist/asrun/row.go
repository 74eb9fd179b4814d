package asrun

import (
	"time"

	"dalaba/playlist"
)

// Outcome is how an airing, or a part of one, ended.
type Outcome string

const (
	Complete   Outcome = "complete"   // frames heard / frames of the clip >= CompleteRatio
	Partial    Outcome = "partial"    // it sounded, but less than that
	Preempted  Outcome = "preempted"  // a higher rank took the output
	Missed     Outcome = "missed"     // its time passed without a sound
	Failed     Outcome = "failed"     // the clip or the device was no good
	Suppressed Outcome = "suppressed" // a rule forbade it: quiet hours
)

// CompleteRatio is the part of a clip that must be heard to count.
const CompleteRatio = 0.95

// Reason says why an outcome is not simply complete.
type Reason string

const (
	ReasonNone        Reason = ""
	ReasonLate        Reason = "late"            // complete, but started after its due instant
	ReasonMakeGood    Reason = "make_good"       // complete, owed from an earlier miss
	ReasonPowerLost   Reason = "power_lost"      // crash or power cut while it was open
	ReasonStopped     Reason = "stopped"         // the daemon was told to stop
	ReasonOff         Reason = "off"             // the daemon was not running
	ReasonClock       Reason = "clock_untrusted" // held: the time was not known
	ReasonClockStep   Reason = "clock_step"      // the clock moved past it, or the machine slept
	ReasonBusy        Reason = "output_busy"     // another airing had the output
	ReasonPreempted   Reason = "preempted"       // a higher rank had the output
	ReasonQuiet       Reason = "quiet_hours"     // it fell due in, or ran into, quiet hours
	ReasonLocalHours  Reason = "local_hours"     // the county's, it fell due in hours that are the site's own
	ReasonClip        Reason = "clip_unready"    // no clip of the playlist could be aired
	ReasonDecode      Reason = "decode_error"    // the clip broke off
	ReasonDevice      Reason = "device_gone"     // the output did not answer
	ReasonStore       Reason = "store"           // it could not be claimed or its rows read: the disk did not answer
	ReasonNoOutput    Reason = "no_output"       // the output is no longer configured
	ReasonNoSlot      Reason = "no_slot"         // its slot is no longer configured, or not on this output
	ReasonSuperseded  Reason = "superseded"      // the slot's next airing came first
	ReasonInterrupted Reason = "interrupted"     // an earlier clip of the airing ended it
	ReasonCancelled   Reason = "cancelled"       // the alert was cancelled or updated
	ReasonExpired     Reason = "expired"         // the alert's time was over
)

// Row is one line of the as-run log (播出记录): one clip of one airing on one
// output, or a part of it if it was interrupted. Airing, Output, Item and
// Part name it. Part 0 is an airing that did not sound; parts that sounded
// count from 1.
type Row struct {
	Airing playlist.AiringID `json:"airing"`
	Output string            `json:"output"`
	Item   int               `json:"item"` // from 1, within the airing
	Part   int               `json:"part"`

	Alert playlist.AlertID `json:"alert,omitempty"` // the row is an alert's: it has no slot and no playlist
	Used  Used             `json:"used,omitempty"`  // what an alert was sounded with

	Slot     string          `json:"slot"`
	Playlist string          `json:"playlist"`
	Clip     playlist.ClipID `json:"clip,omitempty"` // empty if none had been chosen
	Title    string          `json:"title,omitempty"`
	Series   string          `json:"series,omitempty"`
	Issue    int             `json:"issue,omitempty"`
	Rank     playlist.Rank   `json:"rank"`
	Due      time.Time       `json:"due"`
	Cued     time.Time       `json:"cued,omitzero"`    // clip opened, checked and pre-decoded
	Started  time.Time       `json:"started,omitzero"` // its first frame left the card
	Ended    time.Time       `json:"ended,omitzero"`   // zero while it airs

	FromFrame int64 `json:"from_frame"` // first frame of the clip in this part
	Frames    int64 `json:"frames"`     // frames of the clip that the device consumed
	OfFrames  int64 `json:"of_frames"`  // frames of the whole clip
	AtFrame   int64 `json:"at_frame"`   // the device's count of frames when it started

	LevelDB   float64             `json:"level_db"`  // gain applied in software
	Residents int                 `json:"residents"` // in earshot of the output when the row was opened
	Area      playlist.Area       `json:"area"`
	Outcome   Outcome             `json:"outcome,omitempty"` // empty while it airs
	Reason    Reason              `json:"reason,omitempty"`
	Clock     playlist.ClockState `json:"clock"`
	Boot      string              `json:"boot"`    // boot ID of the machine
	MonoMS    int64               `json:"mono_ms"` // milliseconds since that boot when the row was opened
	Seq       int64               `json:"seq"`     // the receipt's number in the outbox; 0 while it airs
}

// Used is what an alert's part was sounded with.
type Used string

const (
	UsedTone     Used = "tone"     // the attention tone
	UsedPreamble Used = "preamble" // the words that a drill begins with
	UsedClip     Used = "clip"     // the sound that came with the alert
	UsedSpeech   Used = "speech"   // its text, spoken here
	UsedGeneric  Used = "generic"  // a clip kept for its kind of event
	UsedMic      Used = "mic"      // the emergency microphone
)

// Lateness is how long after its due instant the first frame sounded.
func (r Row) Lateness() time.Duration {
	if r.Started.IsZero() {
		return 0
	}
	return r.Started.Sub(r.Due)
}

// Rejoins reports whether a part goes on where an interruption broke its clip off.
func (r Row) Rejoins() bool { return r.Part > 1 && r.FromFrame > 0 }

// HeardWhole reports whether so much of a clip counts as all of it.
func HeardWhole[T ~int64](heard, of T) bool {
	return of > 0 && float64(heard) >= CompleteRatio*float64(of)
}

// Judge is the outcome of a part that ended by itself: the clip from
// FromFrame on, Frames of it heard.
func (r Row) Judge() Outcome {
	if HeardWhole(r.FromFrame+r.Frames, r.OfFrames) {
		return Complete
	}
	return Partial
}
