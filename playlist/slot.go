package playlist

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// DefaultWindow is how late an airing may start if its slot does not say.
const DefaultWindow = 2 * time.Minute

// MissedPolicy says what becomes of an airing that could not start within its
// window.
type MissedPolicy string

const (
	MissedSkip     MissedPolicy = "skip"      // record it, no more
	MissedLate     MissedPolicy = "late"      // start it late, as long as it is before Until
	MissedMakeGood MissedPolicy = "make-good" // air it once at the next free moment before Until
)

// AfterPolicy says what becomes of an airing that a higher rank interrupted.
type AfterPolicy string

const (
	AfterRejoin  AfterPolicy = "rejoin"  // go on where it stopped
	AfterRestart AfterPolicy = "restart" // begin the clip again
	AfterDrop    AfterPolicy = "drop"    // let it be
)

// QuietPolicy says what becomes of a clip that would run into quiet hours.
type QuietPolicy string

const (
	QuietCut      QuietPolicy = "cut"      // fade it out as they begin
	QuietShift    QuietPolicy = "shift"    // air it when they are over
	QuietSuppress QuietPolicy = "suppress" // do not begin it
)

// Date is a calendar day without a zone, as YYYY-MM-DD. The empty Date is none.
type Date string

// ParseDate reads YYYY-MM-DD and refuses days that no calendar has.
func ParseDate(s string) (Date, error) {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", ErrInvalid
	}
	return Date(s), nil
}

// midnight is the day's first instant in UTC; ok is false for no date.
func (d Date) midnight() (at time.Time, ok bool) {
	if d == "" {
		return time.Time{}, false
	}
	at, err := time.Parse(time.DateOnly, string(d))
	return at, err == nil
}

// Slot is when a playlist airs, and how.
type Slot struct {
	Name      string        `json:"name"`
	Playlist  string        `json:"playlist"`
	Cron      Cron          `json:"cron"`
	Outputs   []string      `json:"outputs,omitempty"` // names, at least one; a county's slot has none and means all in its scope
	Count     int           `json:"count"`             // clips an airing, at least 1
	From      Date          `json:"from,omitempty"`    // first and last day, both included; empty: no bound
	To        Date          `json:"to,omitempty"`
	Except    []Date        `json:"except,omitempty"`
	Days      Weekdays      `json:"days,omitempty"`
	Priority  int           `json:"priority"` // MinPriority to MaxPriority, higher wins
	Window    time.Duration `json:"window"`   // in JSON as nanoseconds
	Missed    MissedPolicy  `json:"missed"`
	Until     TimeOfDay     `json:"until,omitempty"` // end of MissedLate and MissedMakeGood, on the day due; 0: the day's end
	After     AfterPolicy   `json:"after"`
	IntoQuiet QuietPolicy   `json:"into_quiet"`
	Since     time.Time     `json:"since,omitzero"`    // in force since then: nothing fell due by it then or before; zero: always
	Instead   bool          `json:"instead,omitempty"` // of a county's slot: it airs in the place of those of its name of wider scopes
	Calendar  *Calendar     `json:"-"`                 // of the site, if Days go by it: see [Slot.Under]
	Exempt    []Exception   `json:"-"`                 // of a county's slot: the days on which it airs otherwise here; the first that concerns a day and output decides
	Above     bool          `json:"-"`                 // it outranks every slot that is not, whatever the priorities
	LevelDB   float64       `json:"level_db"`
	Chime     bool          `json:"chime,omitempty"` // a station tone before the first clip
}

// The bounds of a slot, of a config or of a manifest.
const (
	MaxCount     = 500 // clips an airing
	MinWindow    = time.Second
	MaxWindow    = time.Hour
	MinSlotLevel = -60 // dB
	MaxSlotLevel = 12
)

// Equal reports whether the two slots are the same in every field.
func (s Slot) Equal(t Slot) bool {
	if s.Cron.String() != t.Cron.String() || !slices.Equal(s.Outputs, t.Outputs) || !slices.Equal(s.Except, t.Except) || !s.Since.Equal(t.Since) {
		return false
	}
	for _, x := range []*Slot{&s, &t} {
		x.Cron, x.Outputs, x.Except, x.Since = Cron{}, nil, nil, time.Time{}
	}
	return reflect.DeepEqual(s, t)
}

// Under returns the slot as it is at a site with that calendar. A slot whose days do
// not go by it stays as it is, whatever the calendar.
func (s Slot) Under(c *Calendar) Slot {
	if s.Days.ByCalendar() {
		s.Calendar = c
	}
	return s
}

// DueKey is the same for two slots if they have the same name and fall due at
// the same instants in a zone. It is kept over restarts.
func (s Slot) DueKey(zone *time.Location) string {
	key := fmt.Sprint(s.Name, "|", s.Cron, "|", s.From, "|", s.To, "|", s.Except, "|", s.Days, "|", zone)
	if s.Days.ByCalendar() {
		key += "|" + s.Calendar.key()
	}
	if len(s.Exempt) > 0 {
		key += fmt.Sprint("|", s.Exempt)
	}
	return key
}

// Check returns what is wrong with a slot that did not come through the config
// reader.
func (s Slot) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: slot %q: %s", ErrInvalid, s.Name, fmt.Sprintf(what, args...))
	}
	switch {
	case s.Name == "":
		return bad("it has no name")
	case s.Cron.fields == nil:
		return bad("it has no cron spec")
	case s.Count < 1 || s.Count > MaxCount:
		return bad("count %d: 1 to %d", s.Count, MaxCount)
	case s.Days&^everyDay != 0:
		return bad("days %d", s.Days)
	case s.Priority < MinPriority || s.Priority > MaxPriority:
		return bad("priority %d: %d to %d", s.Priority, MinPriority, MaxPriority)
	case s.Window < MinWindow || s.Window > MaxWindow:
		return bad("window %v: %v to %v", s.Window, MinWindow, MaxWindow)
	case !slices.Contains([]MissedPolicy{MissedSkip, MissedLate, MissedMakeGood}, s.Missed):
		return bad("missed %q", s.Missed)
	case s.After != AfterRejoin && s.After != AfterRestart && s.After != AfterDrop:
		return bad("after %q", s.After)
	case s.IntoQuiet != QuietCut && s.IntoQuiet != QuietShift && s.IntoQuiet != QuietSuppress:
		return bad("into_quiet %q", s.IntoQuiet)
	case s.Until < 0 || s.Until > 24*60:
		return bad("until %d minutes", s.Until)
	case !(s.LevelDB >= MinSlotLevel && s.LevelDB <= MaxSlotLevel): // NaN too
		return bad("level_db %v: %d to %d", s.LevelDB, MinSlotLevel, MaxSlotLevel)
	}
	for _, d := range append([]Date{s.From, s.To}, s.Except...) {
		if _, err := ParseDate(string(d)); d != "" && err != nil {
			return bad("%q is no date", d)
		}
	}
	return nil
}

// Rank is the slot's place on the ladder.
func (s Slot) Rank() Rank {
	r := RankScheduled + Rank(s.Priority)
	if s.Above {
		r += MaxPriority
	}
	return r
}

// Next returns the first instant strictly after at when the slot falls due; ok is
// false if there is none within five years.
func (s Slot) Next(at time.Time, zone *time.Location) (due time.Time, ok bool) {
	if len(s.Exempt) > 0 {
		return s.nextExempt(at, zone)
	}
	return s.regular(at, zone)
}

// regular is [Slot.Next] of a slot without exceptions.
func (s Slot) regular(at time.Time, zone *time.Location) (due time.Time, ok bool) {
	// No local day begins or ends further than this from the same day in UTC.
	const apart = 26 * time.Hour
	if at.Before(s.Since) {
		at = s.Since
	}
	if s.Days == 0 && s.From == "" && s.To == "" && len(s.Except) == 0 {
		due, ok = s.Cron.Next(at.In(zone)) // most slots
		return due.UTC(), ok
	}
	if first, ok := s.From.midnight(); ok && at.Before(first.Add(-apart)) {
		at = first.Add(-apart)
	}
	until := at.Add(fiveYears)
	if last, ok := s.To.midnight(); ok && until.After(last.Add(24*time.Hour+apart)) {
		until = last.Add(24*time.Hour + apart)
	}
	due, ok = s.Cron.next(at.In(zone), until, s.admits)
	return due.UTC(), ok
}

// admits reports whether a local day, given as its midnight in UTC, is one of the
// slot's days and dates.
func (s *Slot) admits(day time.Time) bool {
	if !s.Days.Has(day, s.Calendar) {
		return false
	}
	date := Date(day.Format(time.DateOnly))
	return date >= s.From && (s.To == "" || date <= s.To) && !slices.Contains(s.Except, date)
}

// ShiftWithin is how long after its due instant an airing may begin that waits for the
// end of quiet hours under [QuietShift].
const ShiftWithin = 24 * time.Hour

// Latest returns the last instant at which an airing due then may still start, whatever
// quiet hours there are.
func (s Slot) Latest(due time.Time, zone *time.Location) time.Time {
	last := s.Deadline(due, zone)
	if shifted := due.Add(ShiftWithin + s.Window); s.IntoQuiet == QuietShift && shifted.After(last) {
		return shifted
	}
	return last
}

// Deadline returns the last instant at which an airing due then may still start, unless
// quiet hours shift it: see [Slot.Latest].
func (s Slot) Deadline(due time.Time, zone *time.Location) time.Time {
	end := due.Add(s.Window)
	if s.Missed == MissedSkip {
		return end
	}
	if t := s.Last(due, zone); t.After(end) {
		return t
	}
	return end
}

// Last is the instant that Until names for an airing due then. It may lie before the end
// of its window.
func (s Slot) Last(due time.Time, zone *time.Location) time.Time {
	until := s.Until
	if until == 0 {
		until = 24 * 60
	}
	return until.On(due, zone)
}
