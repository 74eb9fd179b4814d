package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dalaba/cmd/cli"
	"dalaba/controller/control"
	"dalaba/controller/site"
	"dalaba/controller/wording"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
	"dalaba/web"
)

// show tells the terminal what airs: a line when a clip starts and when it
// ends and, on a terminal, a bar for each output below them.
type show struct {
	*app
	daemon  shown // set by begin
	began   time.Time
	moments chan player.Moment
	others  chan func() // show something else
	names   wording.Log // of what the log tells

	reachAfter int
	ended      int
	on         map[string]asrun.Row // by output
	silent     playlist.AiringID    // that last ended
	bars       *bars                // of what sounds
	lost       atomic.Int64         // moments that came too fast

	mu      sync.Mutex
	backlog backlog
}

// shown is the daemon whose airings are shown. controller.Controller implements
// it.
type shown interface {
	Config() *config.Config
	Store() *data.Store
	Now() time.Time
	Trust() playlist.ClockState
}

// backlog is what was missed long before now, to be told of in one line.
type backlog struct {
	n            int // an airing counts on each output
	last         map[string]playlist.AiringID
	row          asrun.Row // the first
	first, until time.Time
}

func (b *backlog) add(r asrun.Row) {
	if b.last[r.Output] == r.Airing {
		return // another clip of it
	}
	if b.n == 0 {
		*b = backlog{last: map[string]playlist.AiringID{}, row: r, first: r.Due, until: r.Due}
	}
	b.n++
	b.last[r.Output] = r.Airing
	if r.Due.Before(b.first) {
		b.first = r.Due
	}
	if r.Due.After(b.until) {
		b.until = r.Due
	}
}

func newShow(a *app, reachAfter int) *show {
	return &show{app: a, bars: &bars{out: a.Out}, moments: make(chan player.Moment, 256), others: make(chan func(), 64), reachAfter: reachAfter, on: map[string]asrun.Row{}}
}

// watch is called by the player, and must not wait.
func (s *show) watch(m player.Moment) {
	if s.stale(m) {
		s.mu.Lock()
		s.backlog.add(m.Row)
		s.mu.Unlock()
		return
	}
	select {
	case s.moments <- m:
	default:
		s.lost.Add(1)
	}
}

// event is a line of `dalaba run --json` and `dalaba demo --json`: "running"
// first, a moment of the player each time something happens to an airing, and
// "stopped" last. Times are UTC.
type event struct {
	At    time.Time `json:"at"`
	Event string    `json:"event"` // running, backlog, reach, note, stopped, or a player's moment

	Site    string              `json:"site,omitempty"` // of running
	Area    playlist.Area       `json:"area,omitempty"`
	Outputs []eventOutput       `json:"outputs,omitempty"`
	Clock   playlist.ClockState `json:"clock,omitempty"`
	Row     *asrun.Row          `json:"row,omitempty"`    // of a moment, as in asrun --json
	Missed  int                 `json:"missed,omitempty"` // of backlog: airings, counted on each output
	From    time.Time           `json:"from,omitzero"`
	To      time.Time           `json:"to,omitzero"`
	Reach   *reachReport        `json:"reach,omitempty"`
	Text    string              `json:"text,omitempty"` // of a note, in the user's language
}

type eventOutput struct {
	Name      string `json:"name"`
	Device    string `json:"device"`
	Residents int    `json:"residents"`
}

func (a *app) emit(e event) {
	e.At = time.Now().UTC()
	_ = json.NewEncoder(a.Out).Encode(e)
}

// note tells what is no event of an airing.
func (a *app) note(text string) {
	if a.JSON {
		a.emit(event{Event: "note", Text: text})
		return
	}
	a.Println(text)
}

// begin says what the daemon is about to do.
func (s *show) begin(daemon shown) {
	s.daemon, s.began = daemon, daemon.Now()
	s.names.Clip, s.names.Alert = clipNames(context.Background(), daemon.Store()), alertNames(context.Background(), daemon.Store())
	cfg, clock := daemon.Config(), daemon.Trust()
	if s.JSON {
		e := event{Event: "running", Site: cfg.Site.Name, Area: cfg.Site.Area, Clock: clock}
		for _, o := range cfg.Outputs {
			e.Outputs = append(e.Outputs, eventOutput{o.Name, o.Device, o.Residents})
		}
		s.emit(e)
		return
	}
	s.Println(s.bold(s.Say("run.welcome", cfg.Site.Name, cfg.Site.Area)))
	for _, o := range cfg.Outputs {
		s.Println(s.Say("run.output_line", o.Name, devices.Describe(site.Card(context.Background(), daemon.Store(), o)), o.Residents))
	}
	switch h, err := daemon.Store().Health(context.Background()); {
	case err != nil:
	case h.InUse:
		s.Println(s.Say("store.in_use", cfg.Site.DataDir))
	case h.Volatile:
		s.Println(s.Say("run.volatile", cfg.Site.DataDir))
	}
	if clock != playlist.ClockTrusted {
		s.Println(s.Say("run.held"))
	}
	log := "dalaba log"
	if s.config.Path != s.config.Default {
		log += " -c " + s.config.Path
	}
	s.Println(s.Say("run.details", log))
	for a := range cfg.Timetable().After(daemon.Now()) {
		list, _ := cfg.Playlist(a.Slot.Playlist)
		s.Println(s.Say("run.next_line", a.Due.In(cfg.Site.Zone).Format("01-02 15:04:05"), wording.SlotTitle(a.Slot.Name), list.Title))
		break
	}
}

func (s *show) bold(text string) string {
	if !s.Colour() {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// stale reports whether a moment tells of an airing missed while the daemon was off
// or the clock was wrong. There may be years of them.
func (s *show) stale(m player.Moment) bool {
	return m.Kind == player.MomentSilent && m.Row.Outcome == asrun.Missed &&
		(m.Row.Due.Before(s.began) || m.Row.Due.Before(s.daemon.Now().Add(-playlist.MaxWindow)))
}

// missed tells of the backlog: of one as of any other, of many in one line.
func (s *show) missed(ctx context.Context) {
	s.mu.Lock()
	b := s.backlog
	s.backlog = backlog{}
	s.mu.Unlock()
	switch b.n {
	case 0:
	case 1:
		s.moment(ctx, player.Moment{Kind: player.MomentSilent, Row: b.row})
	default:
		if s.JSON {
			s.emit(event{Event: "backlog", Missed: b.n, From: b.first.UTC(), To: b.until.UTC()})
			return
		}
		zone := s.daemon.Config().Site.Zone
		stamp := func(t time.Time) string { return web.Stamp(t, s.daemon.Now(), zone) }
		s.line(s.Say("run.backlog", s.daemon.Now().In(zone).Format("15:04:05"), b.n, stamp(b.first), stamp(b.until)))
	}
}

// backlogEvery is how long a backlog is gathered before it is told of.
const backlogEvery = 2 * time.Second

// run shows moments until ctx ends and what was on its way has been shown.
func (s *show) run(ctx context.Context) {
	tick := time.NewTicker(backlogEvery)
	defer tick.Stop()
	for {
		select {
		case m := <-s.moments:
			s.moment(ctx, m)
		case show := <-s.others:
			show()
		case <-tick.C:
			s.missed(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// end shows what came while the daemon was stopping.
func (s *show) end() {
	for {
		select {
		case m := <-s.moments:
			s.moment(context.Background(), m)
		default:
			s.rest()
			s.missed(context.Background())
			if s.JSON {
				s.emit(event{Event: "stopped"})
				return
			}
			s.bars.above(func() { s.Println(s.Say("run.stopped")) }, nil)
			return
		}
	}
}

func (s *show) moment(ctx context.Context, m player.Moment) {
	r := m.Row
	if s.JSON {
		s.emit(event{Event: string(m.Kind), Row: &r})
	}
	clock := s.clock
	switch m.Kind {
	case player.MomentStarted:
		if s.JSON {
			break
		}
		begins := s.Say("run.on_air")
		if d := r.Lateness(); r.Part == 1 && r.Item == 1 && wording.Late(d) {
			begins += s.Say("run.late", d.Seconds())
		}
		if r.Rejoins() {
			begins = s.Say("run.goes_on", web.Length(playlist.Length(r.FromFrame)))
		}
		s.line(fmt.Sprintf("%s  %s  ▶ %s  %s", clock(r.Started), r.Output, s.name(r), begins))
	case player.MomentProgress:
		s.on[r.Output] = r
		s.bars.draw(s.drawn()...)
	case player.MomentEnded, player.MomentSilent:
		// An airing's clips that never sounded are told of once, not one by one.
		if r.Part == 0 && r.Item > 1 && s.silent == r.Airing {
			return
		}
		s.silent = r.Airing
		delete(s.on, r.Output)
		if !s.JSON {
			s.line(fmt.Sprintf("%s  %s  %s %s  %s", clock(r.Ended), r.Output, mark(r.Outcome), s.name(r), s.outcome(r)))
		}
		if m.Kind == player.MomentEnded {
			s.ended++
			if s.ended == s.reachAfter {
				s.reach(ctx)
			}
		}
	}
}

// zone returns that of the site, once the config in force tells.
func (s *show) zone() *time.Location {
	if s.daemon == nil {
		return time.Local
	}
	return s.daemon.Config().Site.Zone
}

// clock returns an instant by the clock of the site, in whole seconds as the log and
// the as-run log have it.
func (s *show) clock(t time.Time) string { return t.In(s.zone()).Format(time.TimeOnly) }

// later has something shown between moments. It is called by the daemon, and must not
// wait.
func (s *show) later(f func()) {
	select {
	case s.others <- f:
	default:
		s.lost.Add(1)
	}
}

// rest shows what waits besides moments.
func (s *show) rest() {
	for {
		select {
		case show := <-s.others:
			show()
		default:
			return
		}
	}
}

// logged shows an event of the log that a person must know of. What is read by a program
// is left as it is.
func (s *show) logged(e asrun.Event) {
	if !wording.Urgent(e) {
		return
	}
	s.later(func() {
		s.names.Lang, s.names.Zone = s.Language(), s.zone()
		text, below := s.names.Say(e)
		text = cli.Paint("✗ "+cli.Printable(strings.Join(append([]string{text}, below...), "  ")), cli.Bad, s.Colour())
		line := s.clock(e.At) + "  " + text + "  " + s.Say("run.see_log")
		switch {
		case !s.JSON && cli.IsTerminal(s.Out):
			s.line(line)
		case cli.IsTerminal(s.Err):
			s.Remark(line)
		}
	})
}

// reloaded shows how a reload went, as `dalaba reload` does.
func (s *show) reloaded(r control.Reloaded, refused error) {
	at := s.daemon.Now()
	s.later(func() {
		text := s.Say("run.reload_line", wording.Changes(r.Changes))
		if refused != nil {
			first, problems := "", web.Problems{}
			if errors.As(refused, &problems) && len(problems.List) > 0 {
				first = problems.List[0]
			}
			text = cli.Paint(s.Say("run.reload_refused_line", cli.Printable(first)), cli.Bad, s.Colour())
		}
		s.remark(at, text)
	})
}

// renewed shows that clips have come or gone.
func (s *show) renewed(changes []config.Change) {
	at := s.daemon.Now()
	s.later(func() { s.remark(at, s.Say("run.renewed_line", wording.Changes(changes))) })
}

// rearranged shows that the county's programme has changed.
func (s *show) rearranged(changes []config.Change) {
	at := s.daemon.Now()
	s.later(func() { s.remark(at, s.Say("run.county_line", wording.Changes(changes))) })
}

// remark shows what is no event of an airing.
func (s *show) remark(at time.Time, text string) {
	if s.JSON {
		s.note(text)
		return
	}
	s.line(s.clock(at) + "  " + text)
}

func mark(o asrun.Outcome) string {
	if o == asrun.Complete {
		return "✓"
	}
	return "✗"
}

// name is the clip for people, or the slot if no clip was chosen.
func (s *show) name(r asrun.Row) string {
	switch {
	case r.Used == asrun.UsedTone:
		return s.Say("alerts.tone_of", r.Title)
	case r.Clip == "" && r.Alert == "":
		return wording.SlotTitle(r.Slot).In(s.Language())
	}
	return s.ClipName(r.Clip, r.Title, r.Issue)
}

func (s *show) outcome(r asrun.Row) string {
	text := s.Word("outcome.", string(r.Outcome))
	if r.Reason != "" && say.Has("reason."+string(r.Reason)) {
		text += " · " + s.Word("reason.", string(r.Reason))
	}
	if !r.Started.IsZero() {
		text += "  " + heardOf(r)
	}
	return text + s.rejoined(r)
}

// line writes a line above the bars.
func (s *show) line(text string) {
	s.bars.above(func() { s.Println(text) }, s.drawn())
}

// drawn are the bars of what sounds, one for each output, on a terminal.
func (s *show) drawn() (bars []string) {
	if s.JSON || !cli.IsTerminal(s.Out) || len(s.on) == 0 {
		return nil
	}
	wide := 0
	for _, r := range s.on {
		wide = max(wide, cli.Columns.StringWidth(r.Output))
	}
	for _, o := range s.daemon.Config().Outputs {
		if r, ok := s.on[o.Name]; ok {
			at, whole := playlist.Length(r.FromFrame+r.Frames), playlist.Length(r.OfFrames)
			bars = append(bars, s.Bar(cli.Columns.FillRight(o.Name, wide), at, whole, figures(at, whole), s.name(r)))
		}
	}
	return bars
}

// figures are how much of a clip has sounded.
func figures(at, whole time.Duration) string {
	return fmt.Sprintf("%5s/%s", web.Length(at), web.Length(whole))
}

// reach shows the reach table of what this run has aired.
func (s *show) reach(ctx context.Context) {
	tally := asrun.NewTally(asrun.ByClip, s.daemon.Config().Site.Zone)
	for r, err := range s.daemon.Store().AsRun(ctx, data.Query{Since: s.began.Add(-playlist.DefaultWindow)}) {
		if err != nil {
			return
		}
		if r.Outcome != "" || slices.Contains(s.airing(), r.Output) {
			tally.Add(r)
		}
	}
	lines, total := tally.Lines()
	if s.JSON {
		report := newReachReport(asrun.ByClip, asrun.Summary{Lines: lines, Total: total, Changed: tally.Changed()})
		s.emit(event{Event: "reach", Reach: &report})
		return
	}
	s.bars.above(func() {
		s.Println("")
		s.Println(s.Say("run.reach_title", s.ended))
		s.Println(s.reachTable(lines, total, asrun.ByClip))
	}, s.drawn())
}

func (s *show) airing() []string {
	var names []string
	for n := range s.on {
		names = append(names, n)
	}
	return names
}
