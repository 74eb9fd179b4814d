// Package uplink is a controller's end of the link to its county: it keeps the
// connection, puts the county's alerts and manifests in force, fetches their
// clips and tells the county how the controller is.
package uplink

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"dalaba/data"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/config"
	"dalaba/playlist/emergency"
)

// Clock is the controller's clock as the link sees it.
type Clock interface {
	Trust() playlist.ClockState
	County(at time.Time, within time.Duration)
}

// Alarm takes in alerts. player.Alarm implements it.
type Alarm interface {
	PutInForce(ctx context.Context, scope playlist.Scope, all []emergency.Record, stay []playlist.AlertID) error
	Records(ctx context.Context) ([]emergency.Record, error)
}

// Options are what an Uplink needs; all fields must be set.
type Options struct {
	Store *data.Store
	Dir   string // the data folder: of the key, and of clips that are half here
	Log   *slog.Logger

	Config  func() *config.Config                         // in force; called from many goroutines
	Outputs func(ctx context.Context) []link.OutputHealth // for the health report
	Changed func()                                        // the manifests in force, or the controller's area or groups, have changed; must be quick

	// Inline is called with each clip that came inside a document of alerts: the store may
	// not take it.
	Inline func(c playlist.Clip, raw []byte)

	Clock Clock
	Alarm Alarm

	Program string // the program's version
	Boot    string
	Mono    func() time.Duration
	Now     func() time.Time
}

// Uplink keeps the link up from the day on which the controller is enrolled.
type Uplink struct {
	Options
	store     Wire
	clips     *link.Clips
	news      chan struct{} // documents or clips have changed
	rehash    chan struct{} // the bytes of a clip may have changed
	reenrol   chan struct{} // the controller may have been enrolled anew
	synced    time.Time     // when the county last answered; belongs to the link's goroutine
	alertNews chan struct{} // alerts is not empty

	own struct { // see [Uplink.local]; belongs to the link's goroutine
		of    *config.Config
		local playlist.Local
	}

	mu     sync.Mutex
	since  time.Time        // when the controller that runs was enrolled
	ctl    *link.Controller // nil: not enrolled
	alerts []link.Document  // to be put in force, in this order
	voided []playlist.Scope // whose manifests a new trust document no longer accepts
	asked  time.Time        // when a sync last brought all that the county has

	// These belong to the goroutine that inspects.
	orphans map[playlist.Scope]time.Time // see inspection.orphan
	placed  playlist.Follower            // as the programme in force has it
}

// New makes an Uplink, which does nothing before Run.
func New(o Options) *Uplink {
	u := &Uplink{
		Options: o, store: Wire{Store: o.Store}, orphans: map[playlist.Scope]time.Time{},
		news: make(chan struct{}, 1), rehash: make(chan struct{}, 1), reenrol: make(chan struct{}, 1), alertNews: make(chan struct{}, 1),
	}
	u.clips = &link.Clips{
		Dir: filepath.Join(o.Dir, "parts"), Store: u.store, Log: o.Log, Sources: u.sources,
		Got: func(playlist.ClipID) { nudge(u.news) },
	}
	return u
}

// nudge wakes the receiver of ch, if it is not awake already.
func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Wake sends waiting receipts soon.
func (u *Uplink) Wake() {
	if ctl := u.Controller(); ctl != nil {
		ctl.Wake()
	}
}

// Reenrol looks whether the controller was enrolled anew.
func (u *Uplink) Reenrol() { nudge(u.reenrol) }

// Rehash reads the bytes of every clip soon: one of them would not air.
func (u *Uplink) Rehash() { nudge(u.rehash) }

// Controller returns the link's controller; nil if it is not enrolled.
func (u *Uplink) Controller() *link.Controller {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ctl
}

// Run keeps the link up until ctx ends.
func (u *Uplink) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { u.attend(ctx) })
	work.Go(func() { u.deliverAlerts(ctx) })
	for ctx.Err() == nil {
		ctl, err := u.connect(ctx)
		if err != nil {
			u.Log.Error("link not started", "err", err)
		}
		if ctl == nil {
			select {
			case <-u.reenrol:
			case <-ctx.Done():
			}
			continue
		}
		u.session(ctx, ctl)
	}
	return nil
}

// session runs the link until the controller is enrolled anew or ctx ends.
func (u *Uplink) session(ctx context.Context, ctl *link.Controller) {
	ctx, stop := context.WithCancel(ctx)
	var parts sync.WaitGroup
	defer parts.Wait()
	defer stop()
	parts.Go(func() {
		if err := ctl.Run(ctx); err != nil {
			u.Log.Error("link ended", "err", err)
		}
	})
	parts.Go(func() {
		if err := u.clips.Run(ctx); err != nil {
			u.Log.Error("clip fetching stopped", "err", err)
		}
	})
	for {
		select {
		case <-u.reenrol:
			if !u.enrolledAt(ctx).Equal(u.since) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// enrolledAt returns when the controller was last enrolled; as known before, if
// the store cannot tell.
func (u *Uplink) enrolledAt(ctx context.Context) time.Time {
	at, err := u.store.Enrolled(ctx)
	if err != nil {
		return u.since
	}
	return at
}

// connect sets the link up; nil if the controller is not enrolled.
func (u *Uplink) connect(ctx context.Context) (*link.Controller, error) {
	docs, err := u.store.Documents(ctx)
	if err != nil || !slices.ContainsFunc(docs, isMember) {
		return nil, err
	}
	ctl, since, err := NewController(ctx, u.Dir, u.Store)
	if err != nil {
		return nil, err
	}
	ctl.Log, ctl.Health, ctl.Clock, ctl.Boot, ctl.Mono, ctl.Now = u.Log, u.health, u.Clock.Trust, u.Boot, u.Mono, u.Now
	ctl.Local = u.local
	ctl.Accepted, ctl.Time, ctl.Behind, ctl.Synced = u.accepted, u.countyTime, u.behind, u.hasSynced
	m, err := ctl.Member(ctx)
	if err != nil {
		return nil, err
	}
	u.clips.Client, u.clips.Sign = &http.Client{Transport: &clipTransport{link: u}}, link.SignClip(m.Controller, ctl.Key)
	u.mu.Lock()
	u.since, u.ctl = since, ctl
	for _, s := range docs {
		if s.Kind == link.KindAlerts {
			if d, err := link.Open(s.Raw, trustOf(docs)); err == nil {
				u.alerts = append(u.alerts, d)
			}
		}
	}
	u.mu.Unlock()
	nudge(u.alertNews)
	nudge(u.news)
	return ctl, nil
}

// keyFile is where the controller's key lies.
func keyFile(dataDir string) string { return filepath.Join(dataDir, "controller.key") }

// NewController returns the link's controller with its key and store, and when it was
// enrolled. It is of no use once the controller is enrolled anew.
func NewController(ctx context.Context, dataDir string, store *data.Store) (c *link.Controller, enrolled time.Time, err error) {
	key, err := link.ReadKey(keyFile(dataDir))
	if err != nil {
		return nil, enrolled, err
	}
	if enrolled, err = store.Enrolled(ctx); err != nil {
		return nil, enrolled, err
	}
	return &link.Controller{Key: key, Store: Wire{store, enrolled}}, enrolled, nil
}

// ownKey returns the controller's key, and makes it on first use.
func ownKey(dataDir string) (*link.Key, error) {
	key, err := link.ReadKey(keyFile(dataDir))
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key = link.NewKey()
	return key, link.WriteKey(keyFile(dataDir), key)
}

const (
	countySlack = 2 * time.Second // a clock this far off the county's time still counts as right: routine airings need no more
	syncedEvery = 5 * time.Minute // how often the store notes that the county replies
)

// countyTime is called with what time the county had, and holds the clock to it.
func (u *Uplink) countyTime(county time.Time, roundTrip time.Duration) {
	u.Clock.County(county.Add(roundTrip/2), roundTrip/2+countySlack)
	if time.Since(u.synced) <= syncedEvery {
		return
	}
	u.synced = time.Now()
	if err := u.store.SetSynced(context.Background(), county); err != nil {
		u.Log.Error("fact not stored", "key", "synced", "err", err)
	}
}

// hasSynced is called when a sync has brought all that the county has.
func (u *Uplink) hasSynced() {
	u.mu.Lock()
	u.asked = time.Now()
	u.mu.Unlock()
	nudge(u.news)
}

// behind is called with the documents that the county has and that did not arrive.
func (u *Uplink) behind(lags []link.Lag) {
	all := []data.Lag{}
	for _, l := range lags {
		all = append(all, data.Lag{Kind: string(l.Kind), Scope: l.Scope, Version: l.Version, Here: l.Here, Why: l.Why})
	}
	if err := u.store.SetLags(context.Background(), all); err != nil {
		u.Log.Error("fact not stored", "key", "lags", "err", err)
	}
}

// Waits reports whether a county is to have the receipts.
func (u *Uplink) Waits(ctx context.Context) bool { return u.store.Waits(ctx) }

// Waits reports whether a county is to have the receipts of the store.
func (w Wire) Waits(ctx context.Context) bool {
	docs, err := w.Documents(ctx)
	return err != nil || slices.ContainsFunc(docs, isMember) && !link.MemberOf(docs).Retired
}

// accepted is called by the link with each document that it has accepted. It must
// be quick.
func (u *Uplink) accepted(d link.Document) {
	if d.Alerts != nil {
		u.mu.Lock()
		u.alerts = append(u.alerts, d)
		u.mu.Unlock()
		nudge(u.alertNews)
	}
	u.mu.Lock()
	for _, h := range d.Voids {
		if h.Kind == link.KindManifest {
			u.voided = append(u.voided, h.Scope)
		}
	}
	u.mu.Unlock()
	nudge(u.news)
}

// member returns the member document in force.
func (u *Uplink) member(ctx context.Context) (link.Member, error) {
	if ctl := u.Controller(); ctl != nil {
		return ctl.Member(ctx)
	}
	return link.Member{}, link.ErrNoTrust
}
