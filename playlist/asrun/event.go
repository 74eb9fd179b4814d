package asrun

import "time"

// Event is a line of a controller's device log.
type Event struct {
	ID      int64          `json:"id"` // increases; with Boot and MonoMS it identifies the event
	At      time.Time      `json:"at"`
	Boot    string         `json:"boot"`    // ID of the machine's boot
	MonoMS  int64          `json:"mono_ms"` // milliseconds since that boot
	Level   int            `json:"level"`   // as a log/slog level
	Message string         `json:"message"`
	Attrs   map[string]any `json:"attrs,omitempty"` // group names joined by dots
}

// InChinese ends the name of an attribute that has the Chinese text of another one,
// which is in English.
const InChinese = ".zh"
