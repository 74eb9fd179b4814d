package county

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"dalaba/county/store"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

// The limits on the time from when the county took an alert to its tone: if it waited for
// no person, and if one had to review it.
const (
	AutomaticLimit = 60 * time.Second
	ReviewLimit    = 300 * time.Second
)

// clockTolerance is how far the trusted clocks of a village and the county may be apart.
const clockTolerance = 2 * time.Second

// Tone is how long the first frame of an alert, the start of its tone, took to be heard
// at a controller.
type Tone struct {
	Alert      playlist.AlertID
	Title      string
	Ordered    time.Time // when the county took it, or the later instant that it names itself
	Reviewed   bool      // it waited for a person first
	Controller playlist.ControllerID
	Name       string
	Area       playlist.Area
	Heard      Heard
	Took       time.Duration // if it was heard
}

// Heard is whether it is known when the tone of an alert was heard.
type Heard string

const (
	HeardTone    Heard = "heard"
	HeardNothing Heard = "nothing" // its receipts or the controller itself tell that nothing was heard
	HeardUnknown Heard = "unknown" // no receipt has come, or the clock is not to be trusted
)

// tones lists how long an alert took at each controller that it is for.
func (o outcome) tones() (all []Tone) {
	taken := o.alert.Received
	if o.alert.Early(taken) {
		taken = o.alert.NotBefore
	}
	rows := map[playlist.ControllerID][]asrun.Row{}
	for _, r := range o.rows {
		rows[r.Controller] = append(rows[r.Controller], r.Row)
	}
	for _, at := range o.account().All {
		t := Tone{
			Alert: o.alert.ID, Title: o.alert.Headline(), Ordered: taken, Reviewed: !o.alert.Detail.Released.IsZero(),
			Controller: at.Controller, Name: at.Name, Area: at.Area, Heard: HeardUnknown,
		}
		started, known := firstTone(rows[at.Controller])
		switch took := started.Sub(t.Ordered); {
		case known && took >= -clockTolerance:
			t.Heard, t.Took = HeardTone, max(took, 0)
		case at.Started.IsZero() && (at.tried || at.toldOver() && !at.toldHeard()):
			t.Heard = HeardNothing
		}
		all = append(all, t)
	}
	return all
}

// firstTone is when the first frame was heard on any output. It is not known if the clock
// was not trusted when an output began.
func firstTone(rows []asrun.Row) (at time.Time, ok bool) {
	first := map[string]asrun.Row{}
	for _, r := range rows {
		f, seen := first[r.Output]
		if r.Frames > 0 && (!seen || cmp.Or(cmp.Compare(r.Item, f.Item), cmp.Compare(r.Seq, f.Seq)) < 0) {
			first[r.Output] = r
		}
	}
	for _, r := range first {
		if r.Clock == playlist.ClockUntrusted {
			return time.Time{}, false
		}
		if at.IsZero() || r.Started.Before(at) {
			at = r.Started
		}
	}
	return at, !at.IsZero()
}

// TimesBy is what a report on times has a line for.
type TimesBy string

const (
	TimesByVillage TimesBy = "village" // a controller
	TimesByTown    TimesBy = "town"
	TimesByAlert   TimesBy = "alert"
)

// AllTimesBy lists them.
var AllTimesBy = []TimesBy{TimesByVillage, TimesByTown, TimesByAlert}

// AllTimesClasses are the classes of alerts that a report on times can be of.
var AllTimesClasses = []emergency.Class{emergency.ClassEmergency, emergency.ClassDrillActual, emergency.ClassDrillSimulated, emergency.ClassDaily}

// TimesQuery asks for a report on the alerts of a class that were taken on the days From
// to To, both included, at the controllers that follow one of the scopes.
type TimesQuery struct {
	By       TimesBy
	From, To playlist.Date    // empty: no bound
	Scopes   []playlist.Scope // none: the whole county
	Class    emergency.Class
}

// TimesLine adds up tones. P50, P99 and Max are of those that were heard, in seconds;
// null if there are none. A percentile is the nearest rank: P99 is the least time that
// at least 99 of 100 of those heard did not exceed.
type TimesLine struct {
	Key      string        `json:"key"` // the controller, the town's area or the alert
	Name     string        `json:"name,omitempty"`
	Area     playlist.Area `json:"area,omitempty"`
	At       time.Time     `json:"at,omitzero"` // when the alert was ordered
	Targeted int           `json:"targeted"`
	Heard    int           `json:"heard"`
	Nothing  int           `json:"nothing"`
	Unknown  int           `json:"unknown"`

	// Automatic is of alerts that waited for no person, Review of the others. The
	// denominators are all targeted: a village that heard nothing is one that did not hear
	// it in time. Of the unknown, nothing tells.
	Automatic Rate `json:"within_60_s"`
	Review    Rate `json:"within_300_s"`

	P50 *float64 `json:"p50_s"`
	P99 *float64 `json:"p99_s"`
	Max *float64 `json:"max_s"`
}

// TimesReport is how long alerts took from the order to the tone.
type TimesReport struct {
	By    TimesBy         `json:"by"`
	Class emergency.Class `json:"class"`
	From  playlist.Date   `json:"from,omitempty"`
	To    playlist.Date   `json:"to,omitempty"`
	Lines []TimesLine     `json:"lines"`
	Total TimesLine       `json:"total"`
}

// Times adds up tones, in their order: by controller or town in the order of areas, by
// alert as they were ordered.
func Times(tones []Tone, by TimesBy) (lines []TimesLine, total TimesLine) {
	lines = []TimesLine{}
	groups := map[string][]Tone{}
	for _, t := range tones {
		l := TimesLine{Key: string(t.Controller), Name: t.Name, Area: t.Area}
		switch by {
		case TimesByTown:
			town := townOf(t.Area)
			l = TimesLine{Key: string(town), Area: town}
		case TimesByAlert:
			l = TimesLine{Key: string(t.Alert), Name: t.Title, At: t.Ordered}
		}
		if groups[l.Key] == nil {
			lines = append(lines, l)
		}
		groups[l.Key] = append(groups[l.Key], t)
	}
	for i := range lines {
		lines[i].add(groups[lines[i].Key])
	}
	slices.SortStableFunc(lines, func(x, y TimesLine) int {
		return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.Area, y.Area), cmp.Compare(x.Key, y.Key))
	})
	total.add(tones)
	return lines, total
}

// townOf is the town in which an area lies, or the area if it is larger.
func townOf(a playlist.Area) playlist.Area {
	const digits = 9
	if len(a) <= digits {
		return a
	}
	return a[:digits] + playlist.Area(strings.Repeat("0", len(a)-digits))
}

// add adds up all tones of a line.
func (l *TimesLine) add(tones []Tone) {
	var heard []time.Duration
	var automatic, review struct{ all, within, unknown int64 }
	for _, t := range tones {
		l.Targeted++
		of, limit := &automatic, AutomaticLimit
		if t.Reviewed {
			of, limit = &review, ReviewLimit
		}
		of.all++
		switch t.Heard {
		case HeardNothing:
			l.Nothing++
			continue
		case HeardUnknown:
			l.Unknown++
			of.unknown++
			continue
		}
		l.Heard++
		heard = append(heard, t.Took)
		if t.Took <= limit {
			of.within++
		}
	}
	l.Automatic, l.Review = rate(automatic.within, automatic.all, automatic.unknown), rate(review.within, review.all, review.unknown)
	slices.Sort(heard)
	l.P50, l.P99, l.Max = nearestRank(heard, 50), nearestRank(heard, 99), nearestRank(heard, 100)
}

// nearestRank is the least of sorted times that at least percent of them do not exceed,
// in seconds; nil if there are none.
func nearestRank(sorted []time.Duration, percent int) *float64 {
	if len(sorted) == 0 {
		return nil
	}
	rank := (percent*len(sorted) + 99) / 100
	s := math.Round(sorted[rank-1].Seconds()*1000) / 1000
	return &s
}

// times reports how long alerts took from the order to the tone.
func (o *outcomes) times(ctx context.Context, q TimesQuery) (TimesReport, error) {
	out := TimesReport{By: q.By, Class: q.Class, From: q.From, To: q.To}
	from, to := o.days(q.From, q.To)
	alerts, err := o.store.AlertsBetween(ctx, from, to)
	if err != nil {
		return out, err
	}
	fleet, err := o.store.Fleet(ctx, store.FleetQuery{})
	if err != nil {
		return out, err
	}
	if len(q.Scopes) > 0 {
		fleet = slices.DeleteFunc(fleet, func(k store.Controller) bool { return !slices.ContainsFunc(q.Scopes, k.Follower().Follows) })
	}
	var tones []Tone
	for _, a := range alerts {
		if a.Class != q.Class {
			continue
		}
		known, err := o.of(ctx, a, fleet)
		if err != nil {
			return out, err
		}
		tones = append(tones, known.tones()...)
	}
	out.Lines, out.Total = Times(tones, q.By)
	return out, nil
}

// days are the instants at which the first of two days begins and the second is over;
// zero if there is no bound.
func (b base) days(first, last playlist.Date) (from, to time.Time) {
	start := func(d playlist.Date, after int) (t time.Time) {
		if day, err := time.Parse(time.DateOnly, string(d)); err == nil {
			t = playlist.StartOfDay(day.Year(), day.Month(), day.Day()+after, b.zone)
		}
		return t
	}
	return start(first, 0), start(last, 1)
}
