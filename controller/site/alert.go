package site

import (
	"strconv"
	"strings"
	"time"

	"dalaba/alert"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
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

	Number     int         `json:"number,omitempty"`     // in the listing, counted from the oldest
	Recordings []Recording `json:"recordings,omitempty"` // of --check and of an alert just handed in
	As         asrun.Used  `json:"as,omitempty"`         // what it is aired as, of the same
	Remarks    []string    `json:"remarks,omitempty"`    // in the user's language
	PassS      float64     `json:"pass_s,omitempty"`     // length of one pass without its tone, if it was measured
}

// AlertNumber is the number in the listing of the alert at i in the records of a
// store, which has the latest first. It is counted from the oldest, so that one that
// comes meanwhile changes none.
func AlertNumber(records []emergency.Record, i int) int { return len(records) - i }

// FindAlerts returns which of the records an operator means by an ID, by the
// identifier or the title of an alert in force, or by a number of the listing. More
// than one: it is not clear which.
func FindAlerts(records []emergency.Record, which string) (found []int) {
	number, _ := strconv.Atoi(strings.TrimPrefix(which, "#"))
	for i, r := range records {
		switch {
		case string(r.ID) == which:
			return []int{i}
		case number > 0 && number == AlertNumber(records, i), !r.State.Over() && (r.Identifier == which || r.Headline() == which):
			found = append(found, i)
		}
	}
	return found
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

// Recording is a sound that a message brings or names, and what becomes of it.
type Recording struct {
	Name   string          `json:"name"`
	Size   int64           `json:"size,omitempty"`
	SHA256 playlist.ClipID `json:"sha256,omitempty"`
	Airs   bool            `json:"airs"`
	Why    say.Message     `json:"-"`
	Reason string          `json:"reason"` // Why in the user's language
}
