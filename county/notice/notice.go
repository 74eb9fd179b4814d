// Package notice decides what the duty phone is told of a county, and when.
//
// It touches no disk and no socket. A [Notice] is what one recipient is told. A [Trouble]
// is something that a person must look after; [Follow] finds which troubles are news. A
// [Rule] is what a recipient wants to be told, and [Rule.Plan] decides which of its notices
// go out now, which are held and which are gathered into one. Package send has the ways by
// which they go out.
package notice

import (
	"slices"
	"strings"
	"time"

	"dalaba/playlist"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// Kind is what a notice is about.
type Kind string

// The kinds that a recipient can choose.
const (
	Alert  Kind = "alert"  // an emergency message: received, cancelled, not heard
	Fault  Kind = "fault"  // a controller that a person must mend
	Silent Kind = "silent" // a controller that is not online
	Deaf   Kind = "deaf"   // a controller that does not hear alerts for its area
	County Kind = "county" // a trouble of the county itself
)

// The kinds that are not chosen.
const (
	Daily   Kind = "daily"   // the report of each day
	Summary Kind = "summary" // of several notices that were held
	Test    Kind = "test"
)

// Kinds lists the kinds that a recipient can choose.
func Kinds() []Kind { return []Kind{Alert, Fault, Silent, Deaf, County} }

// State is how far a notice has come.
type State string

const (
	Due      State = "due"      // it is to be sent
	Held     State = "held"     // by quiet hours or the limit: it goes out in a summary
	Gathered State = "gathered" // it is in a summary
	Told     State = "told"
	Failed   State = "failed" // given up
)

// Notice is what one recipient is told.
type Notice struct {
	ID    int64           `json:"id"`
	Key   string          `json:"key"` // what it tells, to whom: the same is told once
	To    string          `json:"to"`  // the recipient's name
	Kind  Kind            `json:"kind"`
	Level emergency.Level `json:"level,omitempty"` // of the alert that it is about; 0: it is about none
	Text  string          `json:"text"`            // its first line says it all in short
	At    time.Time       `json:"at"`
	State State           `json:"state"`
	Next  time.Time       `json:"next,omitzero"` // when it may be sent
	Tries int             `json:"tries,omitempty"`
	Ended time.Time       `json:"ended,omitzero"` // when it was told or given up
	Why   string          `json:"why,omitempty"`  // why it was not sent, the last time
}

// Headline is the first line.
func (n Notice) Headline() string {
	line, _, _ := strings.Cut(n.Text, "\n")
	return line
}

// passesQuiet reports whether quiet hours do not hold it.
func (n Notice) passesQuiet() bool {
	return n.passesLimit() || n.Level == emergency.Orange
}

// passesLimit reports whether neither the limit nor quiet hours hold it.
func (n Notice) passesLimit() bool {
	return n.Level == emergency.Red || n.Kind == Daily || n.Kind == Test || n.Tries > 0
}

// Rule is what a recipient wants to be told.
type Rule struct {
	Name     string
	Language say.Lang
	About    []Kind
	Areas    []playlist.Area // empty: all
	Quiet    Quiet
	Limit    int                 // notices an hour
	Daily    *playlist.TimeOfDay // of the daily report; nil: there is none
	Zone     *time.Location
}

// Quiet is the part of each day in which only urgent notices go out. It may go over
// midnight. From and To are the same if there is none.
type Quiet struct{ From, To playlist.TimeOfDay }

// At reports whether an instant is in quiet hours.
func (q Quiet) At(at time.Time, zone *time.Location) bool {
	local := at.In(zone)
	t := playlist.TimeOfDay(local.Hour()*60 + local.Minute())
	if q.From <= q.To {
		return q.From <= t && t < q.To
	}
	return t >= q.From || t < q.To
}

// Wants reports whether the recipient is told of a kind.
func (r Rule) Wants(k Kind) bool { return slices.Contains(r.About, k) }

// Covers reports whether the recipient is told of a controller of an area.
func (r Rule) Covers(a playlist.Area) bool {
	return len(r.Areas) == 0 || slices.ContainsFunc(r.Areas, a.Within)
}

// Notice makes a notice for the recipient. The key says what it tells.
func (r Rule) Notice(k Kind, key string, text say.Message, at time.Time) Notice {
	return Notice{Key: r.Name + "/" + key, To: r.Name, Kind: k, Text: text.In(r.Language), At: at, State: Due, Next: at}
}

// DailyAt returns the latest instant at which a daily report was due, if that was today.
func (r Rule) DailyAt(now time.Time) (at time.Time, ok bool) {
	if r.Daily == nil {
		return at, false
	}
	at = r.Daily.On(now, r.Zone)
	return at, !now.Before(at)
}
