package playlist

import (
	"fmt"
	"slices"
	"time"
)

// Exception has a slot of the county left out on some days, or air at other times on
// them. A site makes it in its own configuration, the county in a manifest for a
// narrower scope than the slot's.
type Exception struct {
	Slot string      `json:"slot"`           // the name of the county's slot
	Days []Date      `json:"days,omitempty"` // the days; if none are named, those from From to To
	From Date        `json:"from,omitempty"` // first and last day, both included; empty: no bound
	To   Date        `json:"to,omitempty"`
	At   []TimeOfDay `json:"at,omitempty"` // when the slot airs instead, if it airs on that day at all; empty: it is left out

	By      Scope    `json:"-"` // the scope whose manifest has it; empty: the site's own configuration
	Instead bool     `json:"-"` // that scope has a slot in its place
	Outputs []string `json:"-"` // those that it concerns; empty: all
}

// MaxExceptionTimes bounds the times of day of an exception, and MaxExceptionDays its days.
const (
	MaxExceptionTimes = 48
	MaxExceptionDays  = 400
)

// Check returns what is wrong with an exception that did not come through the config
// reader.
func (e Exception) Check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("%w: exception for slot %q: %s", ErrInvalid, e.Slot, fmt.Sprintf(what, args...))
	}
	switch {
	case e.Slot == "":
		return bad("it names no slot")
	case len(e.Days) == 0 && e.From == "" && e.To == "":
		return bad("it names no days")
	case len(e.Days) > 0 && (e.From != "" || e.To != ""):
		return bad("days and from or to")
	case len(e.Days) > MaxExceptionDays || len(e.At) > MaxExceptionTimes:
		return bad("more than %d days or %d times", MaxExceptionDays, MaxExceptionTimes)
	}
	for _, d := range append([]Date{e.From, e.To}, e.Days...) {
		if _, err := ParseDate(string(d)); d != "" && err != nil {
			return bad("%q is no date", d)
		}
	}
	if slices.Contains(e.Days, "") {
		return bad("a day is empty")
	}
	for _, t := range e.At {
		if t < 0 || t >= 24*60 {
			return bad("at %d minutes", t)
		}
	}
	return nil
}

// Holds reports whether the exception concerns a day.
func (e Exception) Holds(day Date) bool {
	if len(e.Days) > 0 {
		return slices.Contains(e.Days, day)
	}
	return day >= e.From && (e.To == "" || day <= e.To)
}

// Over reports whether all its days are before a day.
func (e Exception) Over(day Date) bool {
	if len(e.Days) > 0 {
		return slices.Max(e.Days) < day
	}
	return e.To != "" && e.To < day
}

// Clashes reports whether two exceptions from the same slot have a day in common.
func (e Exception) Clashes(f Exception) bool {
	if e.Slot != f.Slot {
		return false
	}
	if len(e.Days) == 0 && len(f.Days) == 0 {
		return (e.To == "" || e.To >= f.From) && (f.To == "" || f.To >= e.From)
	}
	if len(e.Days) == 0 {
		e, f = f, e
	}
	return slices.ContainsFunc(e.Days, f.Holds)
}

// Exception returns the one that decides for a day and output; ok is false if the slot
// airs as it always does.
func (s *Slot) Exception(day Date, output string) (e Exception, ok bool) {
	for _, e := range s.Exempt {
		if e.Holds(day) && (len(e.Outputs) == 0 || slices.Contains(e.Outputs, output)) {
			return e, true
		}
	}
	return Exception{}, false
}

// On returns the slot for the airing due at an instant at which [Slot.Next] has it due:
// with the outputs on which it is due then.
func (s Slot) On(due time.Time, zone *time.Location) Slot {
	if len(s.Exempt) == 0 {
		return s
	}
	regular, ok := s.regular(due.Add(-1), zone)
	usual := ok && regular.Equal(due)
	day := dayOf(due, zone)
	s.Outputs = slices.DeleteFunc(slices.Clone(s.Outputs), func(output string) bool {
		e, exempt := s.Exception(day, output)
		if !exempt {
			return !usual
		}
		return !slices.ContainsFunc(e.At, func(t TimeOfDay) bool { return t.On(due, zone).Equal(due) })
	})
	return s
}

// nextExempt is [Slot.Next] of a slot with exceptions. A day on which the slot is not due
// as it always is has nothing that could air at another time.
func (s Slot) nextExempt(at time.Time, zone *time.Location) (due time.Time, ok bool) {
	if at.Before(s.Since) {
		at = s.Since
	}
	last := at.Add(fiveYears)
	for from := at; ; {
		start, end := bounds(from, zone)
		if due, ok := s.firstOn(start, end, at, zone); ok {
			return due, true
		}
		if from, ok = s.regular(end.Add(-1), zone); !ok || from.After(last) {
			return time.Time{}, false
		}
	}
}

// firstOn returns the first instant of a local day after at when the slot is due.
func (s Slot) firstOn(start, end, at time.Time, zone *time.Location) (first time.Time, ok bool) {
	s.Since = time.Time{} // a move may come before what it moves
	usual, ok := s.regular(start.Add(-1), zone)
	if !ok || !usual.Before(end) {
		return time.Time{}, false
	}
	note := func(due time.Time) {
		if due.After(at) && due.Before(end) && (first.IsZero() || due.Before(first)) {
			first = due.UTC()
		}
	}
	day := dayOf(start, zone)
	for _, output := range s.Outputs {
		e, exempt := s.Exception(day, output)
		if exempt {
			for _, t := range e.At {
				note(t.On(start, zone))
			}
			continue
		}
		if usual.After(at) {
			note(usual)
		} else if due, ok := s.regular(at, zone); ok {
			note(due)
		}
	}
	return first, !first.IsZero()
}

// bounds returns the first instant of the local day of at, and that of the next day.
func bounds(at time.Time, zone *time.Location) (start, end time.Time) {
	y, m, d := at.In(zone).Date()
	return StartOfDay(y, m, d, zone), StartOfDay(y, m, d+1, zone)
}

func dayOf(at time.Time, zone *time.Location) Date {
	return Date(at.In(zone).Format(time.DateOnly))
}
