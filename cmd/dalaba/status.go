package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/playlist"
)

// statusCmd tells how the controller is.
func (a *app) statusCmd() *cobra.Command {
	return a.JSONFlag(&cobra.Command{
		Use:   "status",
		Short: a.Say("view.status_short"),
		RunE:  func(c *cobra.Command, _ []string) error { return a.status(c.Context(), time.Now()) },
	})
}

// status is `dalaba status --json`. Times are UTC.
type status struct {
	At      time.Time `json:"at"`
	Site    string    `json:"site"`
	Area    string    `json:"area"`
	Running bool      `json:"running"`
	PID     int       `json:"pid,omitempty"`
	Started time.Time `json:"started,omitzero"` // the daemon, this time or last
	Config  struct {
		File  string    `json:"file"`
		Since time.Time `json:"since,omitzero"` // the one in force was read then
	} `json:"config"`
	Clock   string         `json:"clock"`   // trusted, untrusted or unknown; as last noted where the daemon is off
	CutOff  int            `json:"cut_off"` // rows that a crash or power cut left open, closed at the next start
	Outputs []outputStatus `json:"outputs"`
	Alerts  []alertView    `json:"alerts"` // in force
	Next    []nextAiring   `json:"next"`
	Store   *data.Health   `json:"store,omitempty"`
	Unsent  struct {
		Receipts int       `json:"receipts"`
		Oldest   time.Time `json:"oldest,omitzero"`
		Aside    int       `json:"aside,omitempty"` // that the county could not keep: not sent again
	} `json:"unsent"`
}

type outputStatus struct {
	Name      string      `json:"name"`
	Device    string      `json:"device"`
	Residents int         `json:"residents"`
	State     string      `json:"state"` // airing, idle, away (its device), off (the daemon) or unknown
	Since     time.Time   `json:"since,omitzero"`
	Problem   string      `json:"problem,omitempty"`
	Airing    *nowPlaying `json:"airing,omitempty"`
}

type nowPlaying struct {
	Airing    playlist.AiringID `json:"airing"`
	Slot      string            `json:"slot"`
	Clip      playlist.ClipID   `json:"clip"`
	Title     string            `json:"title"`
	Series    string            `json:"series,omitempty"`
	Issue     int               `json:"issue,omitempty"`
	Started   time.Time         `json:"started,omitzero"` // absent: ready, not sounding yet
	PositionS float64           `json:"position_s"`       // estimated from the start, whatever interrupted it
	LengthS   float64           `json:"length_s"`
}

type nextAiring struct {
	Airing   playlist.AiringID `json:"airing"`
	Due      time.Time         `json:"due"`
	Slot     string            `json:"slot"`
	Playlist string            `json:"playlist"`
	Outputs  []string          `json:"outputs"`
	Quiet    bool              `json:"quiet"` // falls due in quiet hours: will not sound
}

const (
	nextShown  = 5
	eventsBack = 5000 // that are searched
	clockNone  = "unknown"
)

func (a *app) status(ctx context.Context, now time.Time) error {
	s, err := a.look(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	st, err := a.statusOf(ctx, s, now)
	if err != nil {
		return err
	}
	if a.JSON {
		return json.NewEncoder(a.Out).Encode(st)
	}
	a.showStatus(s, st)
	return nil
}

func (a *app) statusOf(ctx context.Context, s *site, now time.Time) (st status, err error) {
	st.At, st.Site, st.Area, st.Clock = now.UTC(), s.Site.Name, string(s.Site.Area), clockNone
	st.PID, st.Running = data.Running(s.Site.DataDir)
	st.Config.File = a.config
	st.Outputs, st.Next, st.Alerts = []outputStatus{}, []nextAiring{}, []alertView{}
	for airing := range s.Timetable().After(now) {
		if len(st.Next) == nextShown {
			break
		}
		st.Next = append(st.Next, nextAiring{
			airing.ID, airing.Due, airing.Slot.Name, airing.Slot.Playlist, airing.Slot.Outputs, s.QuietAt(airing.Due),
		})
	}
	var (
		open   []playlist.Row
		events []data.Event
	)
	if s.store != nil {
		st.Started, st.Config.Since = stateTime(ctx, s.store, stateStarted), stateTime(ctx, s.store, stateConfig)
		if v, ok, err := s.store.State(ctx, stateClock); err == nil && ok {
			st.Clock = v
		}
		book, err := bookOf(ctx, s)
		if err != nil {
			return st, err
		}
		for _, r := range book.InForce() {
			st.Alerts = append(st.Alerts, viewOf(s, r))
		}
		health, err := s.store.Health(ctx)
		if err != nil {
			return st, err
		}
		st.Store = &health
		if st.Unsent.Receipts, st.Unsent.Oldest, err = s.store.Unsent(ctx); err != nil {
			return st, err
		}
		if st.Unsent.Aside, _, err = s.store.Aside(ctx); err != nil {
			return st, err
		}
		if open, err = s.store.OpenRows(ctx); err != nil {
			return st, err
		}
		if events, err = deviceEvents(ctx, s.store); err != nil {
			return st, err
		}
	}
	if !st.Running {
		st.CutOff = len(open)
	}
	for _, o := range s.Outputs {
		st.Outputs = append(st.Outputs, outputNow(o, st, open, events))
	}
	return st, nil
}

// deviceEvents are what was recorded of devices that came and went. They are
// asked for by name: between two of them may lie thousands of others.
func deviceEvents(ctx context.Context, s *data.Store) ([]data.Event, error) {
	return s.EventsNamed(ctx, eventsBack, "output opened", "output lost", "output does not open")
}

// outputNow is how an output is, going by what was last recorded of it.
func outputNow(o playlist.Output, st status, open []playlist.Row, events []data.Event) outputStatus {
	out := outputStatus{Name: o.Name, Device: o.Device, Residents: o.Residents, State: "off"}
	if !st.Running {
		return out
	}
	out.State = "unknown"
	for _, e := range events {
		if e.Attrs["output"] != o.Name || e.At.Before(st.Started) {
			continue
		}
		switch e.Message {
		case "output opened":
			out.State, out.Since, out.Problem = "idle", e.At, ""
		case "output lost", "output does not open":
			out.State, out.Since, out.Problem = "away", e.At, fmt.Sprint(e.Attrs["err"])
		}
	}
	for _, r := range open {
		if r.Output != o.Name || out.Airing != nil && r.Started.IsZero() {
			continue
		}
		n := &nowPlaying{
			Airing: r.Airing, Slot: r.Slot, Clip: r.Clip, Title: r.Title, Series: r.Series, Issue: r.Issue, Started: r.Started,
			LengthS: playlist.Length(r.OfFrames).Seconds(), PositionS: playlist.Length(r.FromFrame).Seconds(),
		}
		if !r.Started.IsZero() {
			out.State, out.Since = "airing", r.Started
			n.PositionS = min(n.LengthS, n.PositionS+max(0, st.At.Sub(r.Started).Seconds()))
		}
		out.Airing = n
	}
	return out
}

func (a *app) showStatus(s *site, st status) {
	now, zone := st.At, s.Site.Zone
	when := func(t time.Time) string { return cli.Stamp(t, now, zone) }
	a.Println(cli.Paint(a.Say("run.welcome", st.Site, st.Area), "1", a.Colour()))
	switch {
	case st.Running && st.Started.IsZero():
		a.Println(cli.Paint(a.Say("view.running_pid", st.PID), cli.Good, a.Colour()))
	case st.Running:
		a.Println(cli.Paint(a.Say("view.running", st.PID, when(st.Started), a.AgeOf(st.Started, now)), cli.Good, a.Colour()))
	case st.Started.IsZero():
		a.Println(cli.Paint(a.Say("view.never_ran"), cli.Warn, a.Colour()))
	default:
		a.Println(cli.Paint(a.Say("view.not_running", when(st.Started)), cli.Bad, a.Colour()))
	}
	if st.Config.Since.IsZero() {
		a.Println(a.Say("view.config", st.Config.File))
	} else {
		a.Println(a.Say("view.config_since", st.Config.File, when(st.Config.Since)))
	}
	if st.Running {
		tone := map[string]cli.Tone{"trusted": cli.Good, "untrusted": cli.Bad}[st.Clock]
		a.Println(cli.Paint(a.Say("view.clock_"+st.Clock), tone, a.Colour()))
	} else if st.CutOff > 0 {
		a.Println(cli.Paint(a.Say("view.cut_off", st.CutOff), cli.Warn, a.Colour()))
	}

	a.Println("")
	t := a.NewTable(a.Say("view.by_output"), a.Say("view.state"), a.Say("view.now_playing"), a.Say("view.progress"))
	for _, o := range st.Outputs {
		t.Add(o.Name, cli.Tint(a.Say("view.state_"+o.State), stateTone(o.State)), a.playing(o), progress(a, o))
	}
	fmt.Fprint(a.Out, t.Page())

	for _, v := range st.Alerts {
		a.Println(cli.Paint(a.Say("alerts.in_force", v.Headline(), a.alertKind(v.Record), a.alertState(v.Record, s.Site.Zone), when(v.Expires), v.ID), cli.Bad, a.Colour()))
	}

	a.Println("")
	if len(st.Next) == 0 {
		a.Println(a.Say("view.nothing_next"))
	} else {
		a.Println(cli.Paint(a.Say("view.next"), "1", a.Colour()))
		t = a.NewTable(a.Say("view.due"), a.Say("view.slot"), a.Say("view.playlist"), a.Say("view.outputs"))
		for _, n := range st.Next {
			list, _ := s.Playlist(n.Playlist)
			outputs := strings.Join(n.Outputs, a.Say("view.comma"))
			if n.Quiet {
				outputs += a.Say("view.next_quiet")
			}
			t.Add(when(n.Due), playlist.SlotTitle(n.Slot).In(a.Language()), list.Title, outputs)
		}
		fmt.Fprint(a.Out, t.Page())
	}

	a.Println("")
	if st.Store == nil {
		a.Println(a.Say("cli.no_store", s.Site.DataDir))
		return
	}
	h := st.Store
	backup := a.Say("view.no_backup")
	if !h.LastBackup.IsZero() {
		backup = a.Say("view.backup", when(h.LastBackup), h.Backups)
	}
	a.Println(a.Say("view.store", megabytes(h.Size), backup, megabytes(h.Free)))
	if h.Volatile {
		a.Println(cli.Paint(a.Say("view.volatile"), cli.Bad, a.Colour()))
	}
	for _, l := range h.Losses {
		a.Println(cli.Paint(a.Say("view.loss", when(l.At), l.Why), cli.Warn, a.Colour()))
	}
	if st.Unsent.Receipts == 0 {
		a.Println(a.Say("view.all_sent"))
	} else {
		a.Println(a.Say("view.unsent", st.Unsent.Receipts, when(st.Unsent.Oldest), a.AgeOf(st.Unsent.Oldest, now)))
	}
	if st.Unsent.Aside > 0 {
		a.Println(cli.Paint(a.Say("view.aside", st.Unsent.Aside), cli.Warn, a.Colour()))
	}
}

func stateTone(state string) cli.Tone {
	switch state {
	case "airing":
		return cli.Good
	case "away":
		return cli.Bad
	case "idle":
		return cli.Plain
	}
	return cli.Faint
}

func (a *app) playing(o outputStatus) string {
	n := o.Airing
	switch {
	case n == nil:
		return o.Problem
	case n.Started.IsZero():
		return a.Say("view.ready", a.billed(n.Clip, n.Series, n.Title, n.Issue))
	}
	return a.billed(n.Clip, n.Series, n.Title, n.Issue)
}

func progress(a *app, o outputStatus) string {
	if o.Airing == nil || o.Airing.Started.IsZero() {
		return ""
	}
	at, whole := seconds(o.Airing.PositionS), seconds(o.Airing.LengthS)
	return gauge(16, at, whole) + " " + a.Say("view.about", minutes(at), minutes(whole))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// minutes is a length as 1:05.
func minutes(d time.Duration) string {
	n := int(d.Round(time.Second).Seconds())
	return fmt.Sprintf("%d:%02d", n/60, n%60)
}

// billed is a clip with its series, for people.
func (a *app) billed(id playlist.ClipID, series, title string, issue int) string {
	if series == "" {
		return a.ClipName(id, title, issue)
	}
	return series + " " + a.ClipName(id, title, issue)
}

func megabytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)/1024)
}
