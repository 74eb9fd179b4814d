package site

import (
	"time"

	"dalaba/alert"
	"dalaba/playlist/emergency"
)

// Alert is an alert with what the site makes of it: an element of the alerts in
// status, and what `dalaba alert --json` prints. Times are UTC.
type Alert struct {
	emergency.Record
	Document  alert.Kind    `json:"document,omitempty"`
	Verdict   alert.Verdict `json:"verdict,omitempty"`
	Warnings  []string      `json:"warnings,omitempty"` // in the user's language
	Known     bool          `json:"known"`              // it had come before
	Outputs   []string      `json:"outputs"`            // on which it sounds, or would
	Residents int           `json:"residents"`          // in earshot of those
	Expires   time.Time     `json:"expires,omitzero"`
	NotKept   bool          `json:"not_kept,omitempty"` // it is in force but would not survive a power cut
}

// AlertOf returns what the site makes of an alert.
func (s *Site) AlertOf(r emergency.Record) Alert {
	a := Alert{Record: r, Outputs: []string{}}
	for _, o := range r.Concerned(&s.Programme) {
		a.Outputs = append(a.Outputs, o.Name)
		a.Residents += o.Residents
	}
	if r.Kind != emergency.KindCancel {
		a.Expires = r.Expires(s.Alerts)
	}
	return a
}
