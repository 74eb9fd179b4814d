package playlist

import (
	"time"
)

// AiringID names one occurrence of a slot: slot + due instant, the same on
// every restart.
type AiringID string

// NewAiringID makes the ID of the slot's airing due then.
func NewAiringID(slot string, due time.Time) AiringID {
	return AiringID(slot + "@" + due.UTC().Format("20060102T150405Z"))
}

// Airing is one occurrence of a slot.
type Airing struct {
	ID   AiringID
	Slot Slot
	Due  time.Time
}

// ClockState is how far the time in a row may be believed.
type ClockState string

const (
	ClockTrusted   ClockState = "trusted"
	ClockUntrusted ClockState = "untrusted"
	ClockRepaired  ClockState = "repaired" // it was not; the instants were put right once the time was known
)
