// Package status tells how a controller is: what it plays now and next, how its
// outputs, clock and store are, and what the county does not have yet.
package status

import (
	"context"
	"slices"
	"time"

	"dalaba/controller/site"
	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/link"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/say"
	"dalaba/playlist/schedule"
)

// Status is how a controller is, and what `dalaba status --json` prints. Times are
// UTC.
type Status struct {
	At       time.Time `json:"at"`
	Site     string    `json:"site"`
	Area     string    `json:"area"`
	Timezone string    `json:"timezone"`
	DataDir  string    `json:"data_dir"`
	Running  bool      `json:"running"`
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"` // the daemon, this time or last
	Config   Config    `json:"config"`
	Clock    string    `json:"clock"`   // trusted, untrusted or unknown; as last noted if the daemon does not run
	CutOff   int       `json:"cut_off"` // rows that a crash or power cut left open, closed at the next start
	Outputs  []Output  `json:"outputs"`
	Alerts   []Alert   `json:"alerts"` // in force
	Next     []Next    `json:"next"`

	Store  *data.Health `json:"store,omitempty"`
	County *County      `json:"county,omitempty"` // nil: it is not enrolled
	Unsent Unsent       `json:"unsent"`
	Behind []data.Lag   `json:"behind,omitempty"` // documents of the county that did not arrive
}

// County is the county that the controller is enrolled with.
type County struct {
	Name       string                `json:"name,omitempty"` // empty: its program is of release 0.1
	Servers    []string              `json:"servers"`
	Controller playlist.ControllerID `json:"controller"` // the ID that the county gave
	Area       playlist.Area         `json:"area"`       // that the county gave
	Groups     []string              `json:"groups,omitempty"`
	Since      time.Time             `json:"since,omitzero"` // when it was enrolled
	Last       time.Time             `json:"last,omitzero"`  // when the county last answered
	Retired    bool                  `json:"retired,omitempty"`
	Astray     []string              `json:"astray,omitempty"` // outputs that the config has outside of that area
}

// Config is the config in force.
type Config struct {
	File  string    `json:"file"`
	Since time.Time `json:"since,omitzero"` // when it was read
}

// Alert is an alert in force.
type Alert = site.Alert

// Unsent is what the county does not have yet.
type Unsent struct {
	Receipts int       `json:"receipts"`
	Oldest   time.Time `json:"oldest,omitzero"`
	Aside    int       `json:"aside,omitempty"`     // that the county could not keep: not sent again
	NoCounty bool      `json:"no_county,omitempty"` // no county is to have any, so that none waits
}

// State is how an output is.
type State string

// The states of an output.
const (
	Airing  State = "airing"
	Idle    State = "idle"
	Away    State = "away"    // its device is
	Off     State = "off"     // the daemon does not run
	Unknown State = "unknown" // the daemon has not tried yet, or could not be asked
)

// Output is how an output is.
type Output struct {
	Name      string    `json:"name"`
	Device    string    `json:"device"`
	Residents int       `json:"residents"`
	State     State     `json:"state"`
	Since     time.Time `json:"since,omitzero"`
	Problem   string    `json:"problem,omitempty"` // why it is away
	Airing    *OnAir    `json:"airing,omitempty"`
}

// OnAir is what an output plays.
type OnAir struct {
	Airing    playlist.AiringID `json:"airing"`
	Slot      string            `json:"slot"`
	Clip      playlist.ClipID   `json:"clip"`
	Title     string            `json:"title"`
	Series    string            `json:"series,omitempty"`
	Issue     int               `json:"issue,omitempty"`
	Started   time.Time         `json:"started,omitzero"` // absent: ready, not sounding yet
	PositionS float64           `json:"position_s"`       // estimated from the start, as if nothing had interrupted it
	LengthS   float64           `json:"length_s"`
}

// Next is an airing that has not begun, as it is expected on outputs that have the same
// ahead of them.
type Next struct {
	Airing   playlist.AiringID `json:"airing"`
	Due      time.Time         `json:"due"`
	Slot     string            `json:"slot"`
	Playlist string            `json:"playlist"`
	Title    string            `json:"title"` // of the playlist
	Outputs  []string          `json:"outputs"`
	Start    time.Time         `json:"start,omitzero"`   // expected; absent: it will not sound
	Quiet    bool              `json:"quiet"`            // quiet hours forbid it
	Reason   asrun.Reason      `json:"reason,omitempty"` // why it will not sound; absent: it will
}

const (
	nextShown    = 5
	nextWithin   = 366 * 24 * time.Hour
	clockUnknown = "unknown"
)

// Live is what only the running daemon knows.
type Live struct {
	PID     int
	Clock   playlist.ClockState
	Channel func(output string) (player.ChannelState, bool)
	Lang    say.Lang // for what is wrong with a device
	State   schedule.State
}

// Of returns how a site is: what the running daemon knows or, if live is nil, what
// the store remembers. running reports that a daemon runs at all; without live its
// outputs are Unknown.
func Of(ctx context.Context, s *site.Site, file string, now time.Time, running bool, live *Live) (st Status, err error) {
	st = Status{
		At: now.UTC(), Site: s.Site.Name, Area: string(s.Site.Area), Timezone: s.Site.Zone.String(), DataDir: s.Site.DataDir, Running: running, Clock: clockUnknown,
		Config: Config{File: file}, Outputs: []Output{}, Alerts: []Alert{},
	}
	var open []asrun.Row
	if s.Store != nil {
		if open, err = st.read(ctx, s); err != nil {
			return st, err
		}
	}
	if live != nil {
		st.PID, st.Clock = live.PID, string(live.Clock)
	}
	if !running {
		st.CutOff = len(open)
	}
	for _, o := range s.Outputs {
		st.Outputs = append(st.Outputs, st.outputNow(o, live, open))
	}
	st.Next, err = next(ctx, s, now, running, live)
	return st, err
}

// read fills in what the store remembers, and returns the open rows.
func (st *Status) read(ctx context.Context, s *site.Site) (open []asrun.Row, err error) {
	if st.Started, err = s.Store.Started(ctx); err != nil {
		return nil, err
	}
	if st.Config.Since, err = s.Store.ConfigRead(ctx); err != nil {
		return nil, err
	}
	if c, err := s.Store.Clock(ctx); err == nil && c != "" {
		st.Clock = string(c)
	}
	book, err := s.AlertBook(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range book.InForce() {
		st.Alerts = append(st.Alerts, s.AlertOf(r))
	}
	health, err := s.Store.Health(ctx)
	if err != nil {
		return nil, err
	}
	st.Store = &health
	if !s.Waits(ctx) {
		st.Unsent.NoCounty = true
	} else if st.Unsent.Receipts, st.Unsent.Oldest, err = s.Store.Unsent(ctx); err != nil {
		return nil, err
	}
	if st.Unsent.Aside, _, err = s.Store.Aside(ctx); err != nil {
		return nil, err
	}
	if st.Behind, err = s.Store.Lags(ctx); err != nil {
		return nil, err
	}
	if st.County, err = countyOf(ctx, s); err != nil {
		return nil, err
	}
	return s.Store.OpenRows(ctx)
}

// countyOf returns the county that the controller is enrolled with, if any.
func countyOf(ctx context.Context, s *site.Site) (*County, error) {
	docs, err := uplink.Wire{Store: s.Store}.Documents(ctx)
	if err != nil {
		return nil, err
	}
	m := link.MemberOf(docs)
	if m.Controller == "" {
		return nil, nil
	}
	c := &County{Name: m.County, Servers: m.Servers, Controller: m.Controller, Groups: m.Groups, Retired: m.Retired, Astray: s.Astray()}
	if len(m.Areas) > 0 {
		c.Area = m.Areas[0]
	}
	if c.Since, err = s.Store.Enrolled(ctx); err != nil {
		return nil, err
	}
	c.Last, err = s.Store.Synced(ctx)
	return c, err
}

// next foresees the airings to come.
func next(ctx context.Context, s *site.Site, now time.Time, running bool, live *Live) ([]Next, error) {
	all := []Next{}
	var state *schedule.State
	if live != nil {
		state = &live.State
	} else if unknown := schedule.Unknown(now); running { // it could not be asked
		state = &unknown
	}
	outlook, err := s.Outlook(ctx, now, state)
	if err != nil {
		return all, err
	}
	until, n := now, 0
	for a := range s.Timetable().After(outlook.State.Asked) {
		if n++; n > nextShown || a.Due.Sub(now) > nextWithin {
			break
		}
		until = a.Due
	}
	for _, p := range schedule.Plan(&s.Programme, now, until, outlook) {
		if p.Begun() {
			continue
		}
		reason := p.Reason()
		alike := slices.IndexFunc(all, func(n Next) bool { return n.Airing == p.ID && n.Start.Equal(p.Start) && n.Reason == reason })
		if alike >= 0 {
			all[alike].Outputs = append(all[alike].Outputs, p.Output)
			continue
		}
		if len(all) == nextShown {
			break
		}
		list, _ := s.Playlist(p.Slot.Playlist)
		all = append(all, Next{
			Airing: p.ID, Due: p.Due, Slot: p.Slot.Name, Playlist: p.Slot.Playlist, Title: list.Title, Outputs: []string{p.Output},
			Start: p.Start, Quiet: reason == asrun.ReasonQuiet, Reason: reason,
		})
	}
	return all, nil
}

// outputNow returns how an output is.
func (st *Status) outputNow(o playlist.Output, live *Live, open []asrun.Row) Output {
	out := Output{Name: o.Name, Device: o.Device, Residents: o.Residents, State: Off}
	if !st.Running {
		return out
	}
	out.State = Unknown
	if live != nil {
		ch, ok := live.Channel(o.Name)
		out.State = Device(o, ch, ok)
		out.Since = ch.Since.UTC()
		if out.State == Away && ch.Err != nil {
			out.Problem = say.In(live.Lang, ch.Err)
		}
	}
	for _, r := range open {
		if live != nil {
			r.Started = live.began(r, st.At)
		}
		if r.Output != o.Name || out.Airing != nil && r.Started.IsZero() {
			continue
		}
		n := &OnAir{
			Airing: r.Airing, Slot: r.Slot, Clip: r.Clip, Title: r.Title, Series: r.Series, Issue: r.Issue, Started: r.Started,
			LengthS: playlist.Length(r.OfFrames).Seconds(), PositionS: playlist.Length(r.FromFrame).Seconds(),
		}
		if !r.Started.IsZero() {
			out.State, out.Since = Airing, r.Started
			n.PositionS = min(n.LengthS, n.PositionS+max(0, st.At.Sub(r.Started).Seconds()))
		}
		out.Airing = n
	}
	st.held(&out, live)
	return out
}

// began is when a row's first frame sounded: the player knows it before the store does.
func (l *Live) began(r asrun.Row, now time.Time) time.Time {
	for _, o := range l.State.Open {
		if o.Course.ID == r.Airing && o.Output == r.Output && o.Item == r.Item && !o.Sounds.IsZero() && !o.Sounds.After(now) {
			return o.Sounds
		}
	}
	return r.Started
}

// held says what an output plays that is no airing: of an alert nothing need be in the
// store yet.
func (st *Status) held(out *Output, live *Live) {
	if live == nil || out.State == Away {
		return
	}
	i := slices.IndexFunc(live.State.Held, func(h schedule.Held) bool { return h.Output == out.Name })
	if i < 0 {
		return
	}
	by := live.State.Held[i].By
	out.State = Airing
	if out.Airing != nil && out.Airing.Airing == by {
		return
	}
	out.Airing = &OnAir{Airing: by, Started: st.At}
	if i := slices.IndexFunc(st.Alerts, func(a Alert) bool { return a.ID.Airing() == by }); i >= 0 {
		out.Airing.Title = st.Alerts[i].Headline()
	}
}

// Device returns how an output's device is, by its channel, if there is one: Idle,
// Away or, before the first try, Unknown.
func Device(o playlist.Output, ch player.ChannelState, ok bool) State {
	switch {
	case ok && ch.Up:
		return Idle
	case ok && ch.Err != nil:
		return Away
	case ok && o.CloseIdle: // it is opened when something is to sound
		return Idle
	}
	return Unknown
}
