package controller

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"dalaba/controller/clock"
	"dalaba/controller/site"
	"dalaba/controller/uplink"
	"dalaba/data"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/say"
)

// reloader airs by another programme from now on. player.Player implements it.
type reloader interface {
	Reload(ctx context.Context, p *playlist.Programme) error
}

// programme is what is in force: the site's own config with the county's programme
// beside it. It changes as a whole or not at all. It belongs to the goroutine of
// Controller.attend, but for inForce and rearranged.
type programme struct {
	file   string
	dir    string // the data folder, which stays as long as the daemon runs
	store  *data.Store
	log    *slog.Logger
	now    func() time.Time
	player reloader // set before anything calls reload or rearrange

	before *playlist.Programme // in force when the daemon last stopped; nil: the same as now
	begun  *config.Config      // in force as the daemon began
	live   atomic.Pointer[config.Config]

	clipArrived   chan struct{} // a clip came in through the inbox
	countyChanged chan struct{} // the county's manifests in force have changed

	own       *config.Config  // as the file had it when it was put in force
	text      []byte          // of the file, then
	calendar  []string        // what the log has told of lists of holidays that cannot be read
	listeners []chan struct{} // are told of each change
}

// loadProgramme reads the config as the daemon starts. If it is refused and an
// earlier one was in force, that one is: a pole must not fall silent at the next
// power cut because of a typing error.
func loadProgramme(ctx context.Context, c *Controller, dir string) (*programme, error) {
	p := &programme{
		file: c.File, dir: dir, store: c.store, log: c.log, now: c.now,
		clipArrived: make(chan struct{}, 1), countyChanged: make(chan struct{}, 1),
	}
	own, problems := p.load(ctx, c.Text)
	c.Problems(problems)
	if own == nil {
		return nil, ErrRefused
	}
	cfg, err := uplink.WithCounty(ctx, c.store, own)
	if err != nil {
		c.log.Error("county's programme cannot be read", "err", err)
	}
	p.tellCalendar(own, c.Language(own.Site.Language))
	p.own, p.begun = own, cfg
	p.since(ctx, &cfg.Programme, p.before)
	p.live.Store(cfg)
	return p, nil
}

// load returns the site's own config: the file's or, if that is refused, the last
// good one; nil if there is none. The problems are the file's.
func (p *programme) load(ctx context.Context, text []byte) (*config.Config, []config.Problem) {
	lib := &site.Library{Ctx: ctx, Store: p.store, Keep: true}
	cfg, problems := config.Read(p.file, text, lib)
	good := site.LastGood(p.dir)
	old, err := os.ReadFile(good)
	if !config.Refused(problems) {
		if err == nil && (!bytes.Equal(old, text) || !reflect.DeepEqual(cfg.Calendar, site.LastCalendar(p.dir))) {
			if was, _ := config.Read(p.file, old, asItWas{lib}); was != nil {
				was, _ = uplink.WithCounty(ctx, p.store, was) // if that cannot be read, the file's own
				p.before = &was.Programme
			}
		}
		p.keepGood(text, cfg.Calendar)
		p.text = text
		return cfg, problems
	}
	if err != nil {
		return nil, problems
	}
	p.text = old
	cfg, since := config.ReadGood(p.file, old, lib)
	if cfg == nil {
		return nil, problems
	}
	p.log.Error("config refused, the last good one is in force", "config", p.file, "last_good", good, "why", faults(problems))
	for _, w := range since {
		p.log.Warn("last good config names clips that cannot air", "err", w)
	}
	return cfg, problems
}

// asItWas is the library with the calendar that was in force as the daemon last
// stopped.
type asItWas struct{ *site.Library }

func (asItWas) Calendar(string) ([]byte, error) { return nil, fs.ErrNotExist }

// asItIs is the library with the calendar in force, which may not be on the disk.
type asItIs struct {
	asItWas
	calendar *playlist.Calendar
}

func (l asItIs) LastCalendar(string) (*playlist.Calendar, bool) { return l.calendar, true }

// tellCalendar tells the log what stands in for lists of holidays that cannot be read, and
// why they cannot.
func (p *programme) tellCalendar(cfg *config.Config, lang say.Lang) {
	why := words(cfg.CalendarFaults, lang)
	switch {
	case len(why) == 0 || slices.Equal(why, p.calendar):
	case cfg.Calendar != nil:
		p.log.Warn("list of holidays cannot be read, the last good one is in force", "why", strings.Join(why, "\n"))
	default:
		p.log.Warn("list of holidays cannot be read, workdays are Monday to Friday", "why", strings.Join(why, "\n"))
	}
	p.calendar = why
}

// keepGood keeps the config in force, and its calendar, for a day on which a file is
// broken.
func (p *programme) keepGood(text []byte, c *playlist.Calendar) {
	keep := func(path string, text []byte) {
		if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, text) {
			return
		}
		if err := data.KeepFile(path, text); err != nil {
			p.log.Error("config in force not stored", "err", err)
		}
	}
	keep(site.LastGood(p.dir), text)
	if text, err := json.Marshal(c); c != nil && err == nil {
		keep(site.CalendarInForce(p.dir), text)
	} else if err := os.Remove(site.CalendarInForce(p.dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		p.log.Error("config in force not stored", "err", err)
	}
}

func (p *programme) inForce() *config.Config { return p.live.Load() }

// rearranged says that the county's manifests in force have changed.
func (p *programme) rearranged() { nudge(p.countyChanged) }

// nudge wakes the receiver of ch, if it is not awake already.
func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// reading is what a config file was found to say when it was read again.
type reading struct {
	sum      string // SHA-256 of the file
	problems []config.Problem
	changes  []config.Change // what it has changed
}

// reload reads the config file again and puts it in force as a whole. The error
// says why not: the problems of the file, if there are any, or another reason. More is
// refused than at a start, see [site.Library].
func (p *programme) reload(ctx context.Context) (r reading, err error) {
	text, err := site.ReadConfig(p.file)
	if err != nil {
		return r, err
	}
	digest := sha256.Sum256(text)
	r.sum = hex.EncodeToString(digest[:])
	cfg, problems := config.Read(p.file, text, &site.Library{Ctx: ctx, Store: p.store, Keep: true, AtDesk: true})
	if r.problems = problems; config.Refused(problems) {
		return r, ErrRefused
	}
	if was := p.inForce().Site.DataDir; cfg.Site.DataDir != was {
		return r, say.M("run.data_dir_fixed", was, cfg.Site.DataDir)
	}
	if r.changes, err = p.adopt(ctx, cfg); err != nil {
		return r, err
	}
	p.text = text
	p.keepGood(text, cfg.Calendar)
	if err := p.store.SetConfigRead(ctx, p.now()); err != nil && ctx.Err() == nil {
		p.log.Error("fact not stored", "key", "config", "err", err)
	}
	return r, nil
}

// renew reads the text in force again, for clips have come or gone, and returns what
// that has changed. The file may have been edited since: that waits for a reload, and
// the calendar in force stays.
func (p *programme) renew(ctx context.Context) ([]config.Change, error) {
	cfg, problems := config.Read(p.file, p.text, asItIs{asItWas{&site.Library{Ctx: ctx, Store: p.store, Keep: true}}, p.own.Calendar})
	if config.Refused(problems) {
		return nil, faults(problems)
	}
	cfg.CalendarFaulty, cfg.CalendarFaults = p.own.CalendarFaulty, p.own.CalendarFaults
	return p.adopt(ctx, cfg)
}

// adopt puts a config of the site's own in force.
func (p *programme) adopt(ctx context.Context, cfg *config.Config) ([]config.Change, error) {
	was := p.own
	p.own = cfg
	changes, err := p.apply(ctx)
	if err != nil {
		p.own = was
	}
	return changes, err
}

// rearrange puts the county's programme, which has changed, in force beside the
// site's own, and returns what that has changed.
func (p *programme) rearrange(ctx context.Context) []config.Change {
	changes, err := p.apply(ctx)
	if err == nil {
		p.log.Info("county's programme in force", "slots", len(p.inForce().Slots)-len(p.own.Slots))
	}
	return changes
}

// apply puts the site's own config and the county's programme in force, and returns
// what that has changed. An error means that the daemon stops.
func (p *programme) apply(ctx context.Context) ([]config.Change, error) {
	cfg, err := uplink.WithCounty(ctx, p.store, p.own)
	if err != nil {
		p.log.Error("county's programme cannot be read", "err", err)
	}
	p.since(ctx, &cfg.Programme, &p.inForce().Programme)
	if err := p.player.Reload(ctx, &cfg.Programme); err != nil {
		return nil, err
	}
	was := p.live.Swap(cfg)
	for _, l := range p.listeners {
		nudge(l)
	}
	return config.Changes(was, cfg), nil
}

// since notes in the programmes' slots when they came into force, so that no slot
// counts as missed for the time before. A slot whose schedule has changed is
// another one. Slots in none of the programmes are forgotten: the programme in
// force until now must be among them.
func (p *programme) since(ctx context.Context, programmes ...*playlist.Programme) {
	known, err := p.store.SlotsSince(ctx)
	now, changed := p.now().UTC(), false
	in := map[string]time.Time{}
	for _, pr := range programmes {
		if pr == nil {
			continue
		}
		for i := range pr.Slots {
			s := &pr.Slots[i]
			key := s.DueKey(pr.Site.Zone)
			at, ok := known[key]
			if !ok || at.After(now.Add(clock.Slack)) { // or that was by a wrong clock
				at, changed = now, true
			}
			if in[key] = at; !s.Since.Equal(at) {
				s.Since = at
			}
		}
	}
	if changed || len(in) != len(known) {
		err = p.store.SetSlotsSince(ctx, in)
	}
	if err != nil && ctx.Err() == nil {
		p.log.Error("fact not stored", "key", "slots", "err", err)
	}
}

// disbelieve corrects slots that came into force in the future, by a clock that
// ran ahead: by that, none would fall due for years.
func (p *programme) disbelieve(ctx context.Context) {
	ahead := p.now().Add(clock.Slack)
	if !slices.ContainsFunc(p.inForce().Slots, func(s playlist.Slot) bool { return s.Since.After(ahead) }) {
		return
	}
	cfg := *p.inForce()
	cfg.Slots = slices.Clone(cfg.Slots) // the player reads the others
	p.since(ctx, &cfg.Programme)
	if p.player.Reload(ctx, &cfg.Programme) == nil {
		p.live.Store(&cfg)
	}
}

// lasting returns the keys that a new config has other than the daemon began with
// and that take effect at the next start only, in their order.
func lasting(begun, now *config.Config) []string {
	keys := []string{}
	for _, k := range []struct {
		key      string
		was, now any
	}{
		{"site.language", begun.Site.Language, now.Site.Language},
		{"amplifier.relay", begun.Amplifier.Relay, now.Amplifier.Relay},
		{"amplifier.warm_up", begun.Amplifier.WarmUp, now.Amplifier.WarmUp},
		{"amplifier.hold", begun.Amplifier.Hold, now.Amplifier.Hold},
	} {
		if k.was != k.now {
			keys = append(keys, k.key)
		}
	}
	return keys
}
