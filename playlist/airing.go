package playlist

import (
	"strings"
	"time"
)

// AiringID names one occurrence of a slot: slot + due instant, the same on
// every restart.
type AiringID string

// NewAiringID makes the ID of the slot's airing due then.
func NewAiringID(slot string, due time.Time) AiringID {
	return AiringID(slot + "@" + due.UTC().Format("20060102T150405Z"))
}

// ByHand names a sound by hand where an airing is meant, on whose orders if that is
// known: what holds an output is then no airing.
func ByHand(user string) AiringID { return AiringID(byHand + user) }

const byHand = "hand/"

// Hand is the user by whose hand it sounds; ok is false if it is an airing.
func (id AiringID) Hand() (user string, ok bool) { return strings.CutPrefix(string(id), byHand) }

// Airing is one occurrence of a slot.
type Airing struct {
	ID    AiringID
	Slot  Slot
	Order int // of the slot in the programme
	Due   time.Time
}

// ClockState is how far the time in a row may be believed.
type ClockState string

const (
	ClockTrusted   ClockState = "trusted"
	ClockUntrusted ClockState = "untrusted"
	ClockRepaired  ClockState = "repaired" // it was not; the instants were put right once the time was known
)
