package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dalaba/cmd/cli"
	"dalaba/data"
	"dalaba/devices"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

func keyFile(dataDir string) string { return filepath.Join(dataDir, "controller.key") }

// countyLink is the daemon's side of the link: what the county wants, put in
// force here.
type countyLink struct {
	d     *daemon
	store wire
	clips *link.Clips
	news  chan struct{} // documents or clips have changed
	hash  chan struct{} // a clip's bytes may have
	again chan struct{} // the controller was enrolled anew

	synced time.Time // the county answered; the link's alone

	mu      sync.Mutex
	since   string           // when the controller that runs was enrolled
	ctl     *link.Controller // nil: not enrolled
	alerts  []link.Document  // to be put in force, in their order
	pending chan struct{}
}

func newCountyLink(d *daemon, store *data.Store) *countyLink {
	c := &countyLink{
		d: d, store: wire{store}, news: make(chan struct{}, 1), hash: make(chan struct{}, 1), again: make(chan struct{}, 1), pending: make(chan struct{}, 1),
	}
	c.clips = &link.Clips{
		Dir: filepath.Join(d.site.Site.DataDir, "parts"), Store: c.store, Log: d.log, Sources: c.sources,
		Got: func(playlist.ClipID) { nudge(c.news) },
	}
	return c
}

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// controller is the link's controller, where there is one.
func (c *countyLink) controller() *link.Controller {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ctl
}

// wake says that a receipt was made.
func (c *countyLink) wake() {
	if ctl := c.controller(); ctl != nil {
		ctl.Wake()
	}
}

// run keeps the link up, from the day on which the controller is enrolled.
func (c *countyLink) run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { c.attend(ctx) })
	work.Go(func() { c.warn(ctx) })
	for ctx.Err() == nil {
		ctl, err := c.enrolled(ctx)
		if err != nil {
			c.d.log.Error("link cannot begin", "err", err)
		}
		if ctl == nil {
			select {
			case <-c.again:
			case <-ctx.Done():
			}
			continue
		}
		session, stop := context.WithCancel(ctx)
		var parts sync.WaitGroup
		parts.Go(func() { c.part(ctl.Run(session), "link ended") })
		parts.Go(func() { c.part(c.clips.Run(session), "clips are not fetched") })
		for renewed := false; !renewed; {
			select {
			case <-c.again:
				renewed = c.enrolledAt(ctx) != c.since
			case <-ctx.Done():
				renewed = true
			}
		}
		stop()
		parts.Wait()
	}
	return nil
}

// stateEnrolled is the store's fact of when the controller was last enrolled.
const stateEnrolled = "enrolled"

func (c *countyLink) enrolledAt(ctx context.Context) string {
	at, _, err := c.store.State(ctx, stateEnrolled)
	if err != nil {
		return c.since
	}
	return at
}

// stateSynced is the store's fact of when the county last answered.
const stateSynced = "synced"

const syncedEvery = 5 * time.Minute // the fact is renewed

// countyTime is told what time the county had. The clock is held to it.
func (d *daemon) countyTime(county time.Time, roundTrip time.Duration) {
	d.clock.county(county.Add(roundTrip/2), roundTrip/2+countySlack)
	if c := d.county; time.Since(c.synced) > syncedEvery {
		c.synced = time.Now()
		d.keep(context.Background(), stateSynced, county.UTC().Format(time.RFC3339))
	}
}

// countySlack is how far a clock may be off the county's time and still be
// called right: routine airings need no more.
const countySlack = 2 * time.Second

// link checks that the county hears from the controller.
func (d *doctor) link(ctx context.Context) {
	if d.store == nil {
		return
	}
	docs, err := wire{d.store}.Documents(ctx)
	if err != nil {
		d.add("link", isFail, say.M("doctor.as_is", err), say.M("doctor.store_do", d.dir))
		return
	}
	m := memberOf(docs)
	synced := stateTime(ctx, d.store, stateSynced)
	switch {
	case m.Controller == "":
		d.add("link", isInfo, say.M("doctor.link_none"))
	case m.Retired:
		d.add("link", isWarn, say.M("doctor.link_retired", m.Controller), say.M("doctor.link_retired_do"))
	case synced.IsZero():
		d.add("link", isWarn, say.M("doctor.link_never", m.Controller), say.M("doctor.link_do", strings.Join(m.Servers, " ")))
	case d.now.Sub(synced) > 30*time.Minute:
		d.add("link", isWarn, say.M("doctor.link_silent", m.Controller, cli.Stamp(synced, d.now, d.site())), say.M("doctor.link_do", strings.Join(m.Servers, " ")))
	default:
		d.add("link", isOK, say.M("doctor.link_ok", m.Controller, cli.Stamp(synced, d.now, d.site())))
	}
}

// waits reports whether a county is to have the receipts.
func (c *countyLink) waits(ctx context.Context) bool {
	docs, err := c.store.Documents(ctx)
	return err != nil || slices.ContainsFunc(docs, isMember) && !memberOf(docs).Retired
}

func isMember(s link.Stored) bool { return s.Kind == link.KindMember }

func (c *countyLink) part(err error, what string) {
	if err != nil {
		c.d.log.Error(what, "err", err)
	}
}

// enrolled sets the link up; nil where the controller is not enrolled.
func (c *countyLink) enrolled(ctx context.Context) (*link.Controller, error) {
	docs, err := c.store.Documents(ctx)
	if err != nil || !slices.ContainsFunc(docs, isMember) {
		return nil, err
	}
	ctl, err := newController(c.d.live.Load().Site.DataDir, c.store)
	if err != nil {
		return nil, err
	}
	ctl.Log, ctl.Health, ctl.Clock, ctl.Boot, ctl.Mono, ctl.Now = c.d.log, c.health, c.d.clock.trust, bootID(), uptime, c.d.now
	c.since = c.enrolledAt(ctx)
	ctl.Accepted = c.accepted
	ctl.Time = c.d.countyTime
	m, err := ctl.Member(ctx)
	if err != nil {
		return nil, err
	}
	c.clips.Client, c.clips.Sign = &http.Client{Transport: &clipDoor{link: c}}, link.SignClip(m.Controller, ctl.Key)
	c.mu.Lock()
	c.ctl = ctl
	for _, s := range docs {
		if s.Kind == link.KindAlerts {
			if d, err := link.Open(s.Raw, trustOf(docs)); err == nil {
				c.alerts = append(c.alerts, d)
			}
		}
	}
	c.mu.Unlock()
	nudge(c.pending)
	nudge(c.news)
	return ctl, nil
}

// clipDoor asks for clips as the member document of the day has it.
type clipDoor struct {
	link *countyLink

	mu     sync.Mutex
	of     string       // what client was made of
	client *http.Client // nil: none yet
}

func (c *clipDoor) RoundTrip(r *http.Request) (*http.Response, error) {
	client, err := c.current()
	if err != nil {
		return nil, err
	}
	return client.Transport.RoundTrip(r)
}

// current is the client, made anew where what it was made of has changed.
func (c *clipDoor) current() (*http.Client, error) {
	m, err := c.link.member(context.Background())
	if err != nil {
		return nil, err
	}
	m.Clips = append(slices.Clone(c.link.d.live.Load().Cache.Peers), m.Clips...) // a neighbour may show a certificate of the county's
	c.mu.Lock()
	defer c.mu.Unlock()
	of := fmt.Sprintf("%q %q %q", m.CA, m.Servers, m.Clips)
	if c.client != nil && c.of == of {
		return c.client, nil
	}
	conf, err := link.MemberTLS(m, c.link.d.now, func() bool { return c.link.d.clock.trust() != playlist.ClockUntrusted })
	if err != nil {
		return nil, err
	}
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
	c.of, c.client = of, link.ClipClient(conf)
	return c.client, nil
}

// newController is the link's controller with what never changes.
func newController(dataDir string, store wire) (*link.Controller, error) {
	key, err := link.ReadKey(keyFile(dataDir))
	if err != nil {
		return nil, err
	}
	return &link.Controller{Key: key, Store: store}, nil
}

// trustOf is the trust document among those kept. It was verified when it
// was.
func trustOf(docs []link.Stored) link.Trust {
	for _, s := range docs {
		if s.Kind == link.KindTrust {
			if t, err := link.AcceptTrust(s.Raw, nil); err == nil {
				return t
			}
		}
	}
	return link.Trust{}
}

// accepted is the link's: it must be quick.
func (c *countyLink) accepted(d link.Document) {
	if d.Alerts != nil {
		c.mu.Lock()
		c.alerts = append(c.alerts, d)
		c.mu.Unlock()
		nudge(c.pending)
	}
	nudge(c.news)
}

// warn puts the county's alerts in force as they come.
func (c *countyLink) warn(ctx context.Context) {
	for {
		select {
		case <-c.pending:
		case <-ctx.Done():
			return
		}
		for {
			c.mu.Lock()
			if len(c.alerts) == 0 {
				c.mu.Unlock()
				break
			}
			next := c.alerts[0]
			c.alerts = c.alerts[1:]
			c.mu.Unlock()
			c.alert(ctx, next)
		}
		nudge(c.news) // their clips are wanted
		c.wake()
	}
}

// alert puts one document's alerts in force.
func (c *countyLink) alert(ctx context.Context, d link.Document) {
	if c.retired(ctx) {
		return
	}
	var ids []playlist.AlertID
	for _, a := range d.Alerts.Alerts {
		ids = append(ids, a.Alert.ID)
		r := emergency.Record{Alert: a.Alert, Clip: a.Clip, Scope: d.Scope, Source: playlist.AlertByLink}
		switch {
		case a.Clip != nil:
		case a.Order:
			r.Audio = []emergency.Audio{{Name: "clip"}} // it is to come
		default:
			r.Audio = nil // none is to come: the text is spoken here
		}
		if _, _, err := c.d.alarm.alarm.Receive(ctx, r, nil); err != nil && ctx.Err() == nil {
			c.d.log.Error("alert not kept", "alert", a.Alert.ID, "err", err)
		}
	}
	if err := c.d.alarm.alarm.InForce(ctx, d.Scope, ids); err != nil && ctx.Err() == nil {
		c.d.log.Error("alerts not withdrawn", "scope", d.Scope, "err", err)
	}
}

func (c *countyLink) retired(ctx context.Context) bool {
	m, err := c.member(ctx)
	return err != nil || m.Retired
}

func (c *countyLink) member(ctx context.Context) (link.Member, error) {
	if ctl := c.controller(); ctl != nil {
		return ctl.Member(ctx)
	}
	return link.Member{}, link.ErrNoTrust
}

// sources are whom to ask for clips: neighbours first.
func (c *countyLink) sources() []string {
	all := slices.Clone(c.d.live.Load().Cache.Peers)
	if m, err := c.member(context.Background()); err == nil {
		all = append(all, m.Clips...)
	}
	return all
}

const (
	lookAgain = time.Minute // for a manifest whose day has come
	hashAgain = time.Hour   // each clip
)

// attend puts manifests in force once they can be, and says which clips are
// wanted.
func (c *countyLink) attend(ctx context.Context) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	hourly := time.NewTicker(hashAgain)
	defer hourly.Stop()
	for {
		hash := false
		select {
		case <-c.news:
		case <-tick.C:
		case <-hourly.C:
			hash = true
		case <-c.hash:
			hash = true
		case <-ctx.Done():
			return
		}
		changed, err := c.settle(ctx, hash)
		if err != nil && ctx.Err() == nil {
			c.d.log.Error("manifests not looked at", "err", err)
		}
		if changed {
			nudge(c.d.rearranged)
			c.wake()
		}
	}
}

// settle looks at every manifest; with hash, at the bytes of every clip.
func (c *countyLink) settle(ctx context.Context, hash bool) (changed bool, err error) {
	docs, err := c.store.Documents(ctx)
	if err != nil {
		return false, err
	}
	var wanted []link.Wanted
	lacks := func(clip playlist.Clip, urgent bool) bool {
		_, _, err := c.store.Clip(ctx, clip.ID)
		if ok := err == nil; hash && ok {
			ok, err = c.store.HasClip(ctx, clip.ID)
			if err == nil && !ok {
				c.d.log.Warn("clip damaged, fetched anew", "clip", clip.ID)
			}
			if ok {
				return false
			}
		} else if ok {
			return false
		}
		wanted = append(wanted, link.Wanted{Clip: clip, Urgent: urgent})
		return true
	}
	m, err := c.member(ctx)
	if err != nil {
		return false, nil // not enrolled, or not known yet: what is in force stays
	}
	follower := m.Follower()
	if records, err := c.d.alarm.alarm.Records(ctx); err == nil {
		for _, r := range records {
			switch {
			case r.State.Over():
			case r.Source == playlist.AlertByLink && (m.Retired || !follower.Follows(r.Scope)):
				// It has moved, or its county wants it no more.
				if err := c.d.alarm.alarm.InForce(ctx, r.Scope, nil); err != nil && ctx.Err() == nil {
					c.d.log.Error("alerts not withdrawn", "scope", r.Scope, "err", err)
				}
			case r.Clip != nil:
				lacks(*r.Clip, true)
			}
		}
	}
	states, err := countyState(ctx, c.store.Store)
	if err != nil {
		return false, err
	}
	trust := trustOf(docs)
	seen := map[playlist.Scope]bool{}
	for _, s := range docs {
		if s.Kind != link.KindManifest || m.Retired || !follower.Follows(s.Scope) {
			continue
		}
		seen[s.Scope] = true
		if have, ok := states[s.Scope]; ok && have.Version == s.Version {
			for _, clip := range have.Clips { // one may have been damaged since
				lacks(clip, false)
			}
			continue
		}
		d, err := link.Open(s.Raw, trust)
		if err != nil {
			c.d.log.Error("manifest kept is no good", "scope", s.Scope, "err", err)
			continue
		}
		missing := 0
		for _, clip := range d.Manifest.Clips {
			if lacks(clip, false) {
				missing++
			}
		}
		if !manifestReady(*d.Manifest, missing, c.d.now(), c.d.clock.trust()) {
			continue
		}
		text, err := json.Marshal(d.Manifest)
		if err == nil {
			err = c.store.SetState(ctx, manifestState(s.Scope), string(text))
		}
		if err != nil {
			return changed, err
		}
		changed = true
		c.d.log.Info("manifest in force", "scope", s.Scope, "version", s.Version, "slots", len(d.Manifest.Slots), "missing", missing)
	}
	for scope := range states {
		if !seen[scope] {
			if err := c.store.SetState(ctx, manifestState(scope), ""); err != nil {
				return changed, err
			}
			changed = true
			c.d.log.Info("manifest out of force", "scope", scope)
		}
	}
	c.clips.Want(wanted)
	return changed, nil
}

// manifestReady reports whether a manifest may come into force.
func manifestReady(m playlist.Manifest, missing int, now time.Time, clock playlist.ClockState) bool {
	if !m.NotBefore.IsZero() && (clock != playlist.ClockTrusted || now.Before(m.NotBefore)) {
		return false
	}
	return missing == 0 || m.Partial && missing < len(m.Clips)
}

// manifestState is the store's fact of the manifest in force for a scope. The
// document that replaced it may not be ready yet.
func manifestState(scope playlist.Scope) string { return "manifest/" + string(scope) }

// countyState is what of the county's is in force, by scope.
func countyState(ctx context.Context, store *data.Store) (map[playlist.Scope]playlist.Manifest, error) {
	facts, err := store.States(ctx, manifestState(""))
	all := map[playlist.Scope]playlist.Manifest{}
	for key, text := range facts {
		var m playlist.Manifest
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return nil, err
		}
		all[playlist.Scope(strings.TrimPrefix(key, manifestState("")))] = m
	}
	return all, err
}

// withCounty is the config with what the county has in force in its programme.
// The config itself is not changed.
func withCounty(ctx context.Context, store *data.Store, cfg *config.Config) (*config.Config, error) {
	if store == nil {
		return cfg, nil
	}
	states, err := countyState(ctx, store)
	if err != nil || len(states) == 0 {
		return cfg, err
	}
	docs, err := wire{store}.Documents(ctx)
	if err != nil {
		return cfg, err
	}
	follower := memberOf(docs).Follower()
	var manifests []playlist.Manifest
	for _, m := range states {
		manifests = append(manifests, m)
	}
	slices.SortFunc(manifests, func(a, b playlist.Manifest) int { return strings.Compare(string(a.Scope), string(b.Scope)) })
	merged := *cfg
	merged.Programme = *cfg.With(follower, manifests)
	return &merged, nil
}

// memberOf is who the controller is, by the documents kept. Its member document
// stays in use until another comes, though its signer has lost the role.
func memberOf(docs []link.Stored) link.Member {
	for _, s := range docs {
		if isMember(s) {
			if d, err := link.OpenKept(s); err == nil {
				return *d.Member
			}
		}
	}
	return link.Member{}
}

// health is how the controller is, for the county.
func (c *countyLink) health(ctx context.Context) link.Health {
	cfg := c.d.live.Load()
	h := link.Health{
		Program: cli.Version(), Site: cfg.Site.Name, Area: cfg.Site.Area, Store: "ok",
		Started: stateTime(ctx, c.store.Store, stateStarted),
	}
	if s, err := c.store.Health(ctx); err == nil {
		h.StoreBytes, h.FreeBytes = s.Size, s.Free
		if s.Volatile {
			h.Store = "volatile"
		}
	} else {
		h.Store = "damaged"
	}
	h.Unsent, h.Oldest, _ = c.store.Unsent(ctx)
	if clips, err := c.store.Clips(ctx, ""); err == nil {
		h.Clips = len(clips)
	}
	now := map[string]string{}
	if rows, err := c.store.OpenRows(ctx); err == nil {
		for _, r := range rows {
			now[r.Output] = r.Title
		}
	}
	for _, o := range cfg.Outputs {
		out := link.OutputHealth{
			Name: o.Name, Device: devices.Describe(autoCard(ctx, c.store.Store, o)).In(c.d.Language()), Area: o.Area, Residents: o.Residents, Airing: now[o.Name], State: "ok",
		}
		if ch, ok := c.d.player.Channel(o.Name); !ok || !ch.Up() && !o.CloseIdle {
			out.State = "away"
		}
		h.Outputs = append(h.Outputs, out)
	}
	h.Progress = c.progress(ctx)
	if records, err := c.d.alarm.alarm.Records(ctx); err == nil {
		for i, r := range records {
			if i == link.MaxAlerts {
				break
			}
			at := r.Received
			if !r.Ended.IsZero() {
				at = r.Ended
			}
			h.Alerts = append(h.Alerts, link.AlertProgress{ID: r.ID, State: string(r.State), Why: string(r.Reason), At: at})
		}
	}
	return h
}

// progress is how far each manifest is.
func (c *countyLink) progress(ctx context.Context) (all []link.Progress) {
	docs, err := c.store.Documents(ctx)
	if err != nil {
		return nil
	}
	states, err := countyState(ctx, c.store.Store)
	if err != nil {
		return nil
	}
	trust := trustOf(docs)
	for _, s := range docs {
		if s.Kind != link.KindManifest {
			continue
		}
		d, err := link.Open(s.Raw, trust)
		if err != nil {
			continue
		}
		p := link.Progress{Scope: s.Scope, Version: s.Version, Clips: len(d.Manifest.Clips), Active: states[s.Scope].Version == s.Version}
		for _, clip := range d.Manifest.Clips {
			if _, _, err := c.store.Clip(ctx, clip.ID); err == nil {
				p.Present++
			}
		}
		switch {
		case p.Active:
		case p.Present < p.Clips && !d.Manifest.Partial:
			p.Why = "clips"
		default:
			p.Why = "not_before"
		}
		all = append(all, p)
	}
	return all
}

// needs are the clips that the county's documents name, in force or not yet.
func (c *countyLink) needs(ctx context.Context, needed map[playlist.ClipID]bool) {
	docs, err := c.store.Documents(ctx)
	if err != nil {
		return
	}
	trust := trustOf(docs)
	for _, s := range docs {
		if d, err := link.Open(s.Raw, trust); err == nil {
			for _, clip := range d.Clips() {
				needed[clip.ID] = true
			}
		}
	}
}

// serveClips makes this controller a cache for its neighbours. A clip's name
// is the hash of its bytes: nobody need trust anybody.
func (d *daemon) serveClips(ctx context.Context, cfg *config.Config) error {
	addr := cfg.Cache.Serve
	if addr == "" {
		return nil
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		d.log.Error("clips are not handed out", "addr", addr, "err", err)
		return nil
	}
	handler := link.ClipHandler(func(id playlist.ClipID) (io.ReadSeekCloser, int64, error) {
		_, path, err := d.site.store.Clip(ctx, id)
		if err != nil {
			return nil, 0, fs.ErrNotExist
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, 0, err
		}
		fi, err := f.Stat()
		if err != nil {
			return nil, 0, errors.Join(err, f.Close())
		}
		return f, fi.Size(), nil
	}, nil)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	d.log.Info("clips are handed out", "addr", ln.Addr().String())
	if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		d.log.Error("clips are not handed out", "addr", addr, "err", err)
	}
	return nil
}
