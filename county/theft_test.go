package county_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dalaba/county"
	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
	"dalaba/playlist/say"
)

// The thief of a key signs the highest version there is for a scope, a controller takes
// it, and the county learns of it. Then nobody can issue anything for that scope, but
// only until the key is withdrawn.
func TestAStolenKeyLocksAScopeUntilItIsWithdrawn(t *testing.T) {
	const top = playlist.MaxVersion
	scope := playlist.AreaScope(village)
	for _, c := range []struct {
		role  link.Role
		kind  link.Kind
		scope func(*box) playlist.Scope
		theft func(*testing.T, *world, *box) []byte
		issue func(*testing.T, *world, *county.County, *box) error
	}{
		{
			link.RolePlaylist, link.KindManifest, func(*box) playlist.Scope { return scope },
			func(t *testing.T, w *world, _ *box) []byte {
				m := playlist.Manifest{Scope: scope, Version: top, Issued: time.Now(), Playlists: []playlist.Playlist{}, Slots: []playlist.Slot{}, Clips: []playlist.Clip{}}
				return must[link.Envelope](t)(link.SealManifest(m, w.Keys.Playlist)).Bytes()
			},
			func(t *testing.T, w *world, c *county.County, _ *box) error {
				_, err := c.Issue(t.Context(), draft(t, scope, w.clip(t, "clip1.mp3")))
				return err
			},
		},
		{
			link.RoleAlert, link.KindAlerts, func(*box) playlist.Scope { return scope },
			func(t *testing.T, w *world, _ *box) []byte {
				return must[link.Envelope](t)(link.SealAlerts(link.AlertsState{Scope: scope, Version: top, Issued: time.Now()}, w.Keys.Alert)).Bytes()
			},
			func(t *testing.T, _ *world, c *county.County, _ *box) error {
				_, err := c.TakeByHand(t.Context(), county.ByHand{Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{scope}}, false)
				return err
			},
		},
		{
			link.RoleFleet, link.KindMember, func(b *box) playlist.Scope { return playlist.ControllerScope(b.id) },
			func(t *testing.T, w *world, b *box) []byte {
				m := must[link.Member](t)(b.Member(t.Context()))
				m.Version, m.Groups = top, []string{"thieves"}
				return must[link.Envelope](t)(link.SealMember(m, w.Keys.Fleet)).Bytes()
			},
			func(t *testing.T, _ *world, c *county.County, b *box) error {
				return county.IssueMember(c, t.Context(), b.id)
			},
		},
	} {
		for _, way := range []string{"network", "carrier"} {
			t.Run(string(c.role)+" by "+way, func(t *testing.T) {
				w := newWorld(t, t.TempDir(), nil)
				b := w.enrol(t, village, nil, speaker("村口", village, 420))
				scope := c.scope(b)
				if err := c.issue(t, w, w.County, b); err != nil {
					t.Fatal(err)
				}
				eventually(t, "the county's own arrives", func() bool { return b.has(c.kind, scope) > 0 })
				must[link.Document](t)(b.Take(t.Context(), c.theft(t, w, b)))
				b.Wake()
				latest := func() int64 {
					e, err := w.Store.Envelope(t.Context(), c.kind, scope, 0)
					if err != nil {
						t.Fatal(err)
					}
					return e.Version
				}
				eventually(t, "the county learns of it", func() bool { return latest() == top })
				own := must[[]store.Envelope](t)(w.Store.Versions(t.Context(), c.kind, scope))[1].Version

				_, err := w.Store.NextVersion(t.Context(), c.kind, scope)
				if !errors.Is(err, store.ErrUsedUp) {
					t.Fatalf("not locked: %v", err)
				}
				if err := c.issue(t, w, w.County, b); err != nil && !strings.Contains(say.In(say.English, err), "trust document") {
					t.Errorf("locked, and it says %q", say.In(say.English, err))
				}
				b.aired(row("早间健康", time.Now().Add(-time.Hour), "村口", 420, asrun.Complete))
				eventually(t, "receipts go on", func() bool { return b.unsent() == 0 })
				if way == "carrier" {
					b.stop()
				}

				fresh := w.replace(t, c.role)
				switch c.role {
				case link.RolePlaylist:
					w.Keys.Playlist = fresh
				case link.RoleAlert:
					w.Keys.Alert = fresh
				default:
					w.Keys.Fleet = fresh
				}
				w.die()
				next, _ := w.replica(t) // the county, started again with the new key
				if err := c.issue(t, w, next, b); err != nil {
					t.Fatal(err)
				}
				follows := func(from *county.County, b *box) bool {
					v := latest() // alerts: it may issue more a moment later
					if way == "carrier" {
						w.carry(t, from, b)
					}
					return v > own && v < own+20 && b.has(c.kind, scope) >= v
				}
				eventually(t, "what follows from the highest version of the county's own arrives", func() bool { return follows(next, b) })

				// Both ends are started again.
				b.stop()
				d := newBox(speaker("村口", village, 420))
				d.Key, d.docs, d.id = b.Key, b.docs, b.id
				last := latest()
				again, _ := w.replica(t)
				if err := c.issue(t, w, again, d); err != nil {
					t.Fatal(err)
				}
				if way == "network" {
					d.start(t)
				}
				eventually(t, "the next one arrives too", func() bool { return follows(again, d) && latest() > last })
			})
		}
	}
}

// A county has two alert keys, of which one is stolen and withdrawn. It goes on with the
// other, without a restart, and repeats what it issues and not what the thief did.
func TestAlertsGoOnWithTheOtherKey(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	scope, stolen := playlist.AreaScope(village), link.NewKey()
	w.grant(t, link.RoleAlert, w.Keys.Alert.Public(), stolen.Public())
	order := county.ByHand{Text: "预警", Level: emergency.Blue, Scopes: []playlist.Scope{scope}}
	must[county.Verdict](t)(w.TakeByHand(t.Context(), order, false))
	eventually(t, "the first alert arrives", func() bool { return b.has(link.KindAlerts, scope) > 0 && b.has(link.KindTrust, "") == 2 })
	theft := link.AlertsState{Scope: scope, Version: playlist.MaxVersion, Issued: time.Now()}
	must[link.Document](t)(b.Take(t.Context(), must[link.Envelope](t)(link.SealAlerts(theft, stolen)).Bytes()))
	b.Wake()
	standing := func() (v int64) {
		for _, s := range must[[]link.Standing](t)(w.Standing(t.Context())) {
			if s.Scope == scope {
				v = s.Version
			}
		}
		return v
	}
	eventually(t, "the county takes the thief's document for the latest", func() bool { return standing() == playlist.MaxVersion })
	w.grant(t, link.RoleAlert, w.Keys.Alert.Public())
	v := must[county.Verdict](t)(w.TakeByHand(t.Context(), order, false))
	eventually(t, "the next alert arrives, and is repeated", func() bool {
		b.mu.Lock()
		_, ok := b.alerts[v.ID]
		b.mu.Unlock()
		return ok && standing() == b.has(link.KindAlerts, scope) && standing() < 100
	})
}

// What a locked scope cannot be sent is kept and told, and sent once the key is withdrawn.
func TestTheAlertsOfALockedScopeAreToldAsUnsent(t *testing.T) {
	var sealed atomic.Int64
	w := newWorld(t, t.TempDir(), silent(&sealed))
	scope, stolen := playlist.AreaScope(townArea), link.NewKey()
	w.grant(t, link.RoleAlert, w.Keys.Alert.Public(), stolen.Public())
	first := must[county.Verdict](t)(w.Take(t.Context(), hostile("first", nil)))
	env := must[link.Envelope](t)(link.SealAlerts(link.AlertsState{Scope: scope, Version: playlist.MaxVersion, Issued: time.Now()}, stolen))
	theft := store.Envelope{Kind: link.KindAlerts, Scope: scope, Version: playlist.MaxVersion, Digest: env.Digest(), Bytes: env.Bytes()}
	if err := w.Store.AddEnvelope(t.Context(), theft); err != nil {
		t.Fatal(err)
	}
	v := must[county.Verdict](t)(w.TakeCAP(t.Context(), []byte(capXML("locked", string(townArea))), county.FromHand))
	if v.State != emergency.StateWaiting {
		t.Fatalf("%+v", v)
	}
	locked := []county.Shortfall{{Scope: scope, Why: "county.unsent_used_up", Unsent: true}}
	if !slices.Equal(v.Short, locked) {
		t.Errorf("of the alert: %+v", v.Short)
	}
	if c := must[county.Verdict](t)(w.CancelByHand(t.Context(), first.ID)); !slices.Equal(c.Short, locked) {
		t.Errorf("of a cancel: %+v", c.Short)
	}
	unsent := func() (listed []county.Shortfall, n int) {
		var s county.CountyStatus
		w.call(t, "GET", "/api/status", nil, nil, &s)
		all := must[[]county.Listed](t)(w.listed(t))
		return all[0].Short, s.Unsent
	}
	if listed, n := unsent(); !slices.Equal(listed, locked) || n != 1 {
		t.Errorf("%d unsent, listed %+v", n, listed)
	}
	w.grant(t, link.RoleAlert, w.Keys.Alert.Public())
	eventually(t, "it is sent", func() bool {
		if listed, n := unsent(); n > 0 || len(listed) > 0 {
			return false
		}
		s := w.ordered(t) // it is kept a moment after it was sealed
		return len(s.Alerts) == 1 && s.Alerts[0].Alert.ID == v.ID
	})
}

func TestATrustDocumentThatIsHereAlreadyIsToldInWords(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	e := must[store.Envelope](t)(w.Store.Envelope(t.Context(), link.KindTrust, "", 0))
	err := w.AddTrust(t.Context(), e.Bytes)
	for lang, want := range map[say.Lang]string{say.Chinese: "信任文件第 1 版", say.English: "trust document version 1,"} {
		if text := say.In(lang, err); !errors.Is(err, store.ErrStale) || !strings.Contains(text, want) {
			t.Errorf("%q", text)
		}
	}
}

// carry takes all documents to a controller on a stick.
func (w *world) carry(t *testing.T, from *county.County, b *box) {
	t.Helper()
	stick := link.Carrier{Dir: t.TempDir()}
	var last link.Stored
	for _, d := range must[[]county.Held](t)(county.Carried(from, t.Context())) {
		s := link.Stored{Have: d.Have, Raw: d.Raw}
		put := stick.PutDocument
		if d.Kind == link.KindTrust {
			if last.Version > 0 {
				if err := stick.PutEarlierTrust(last); err != nil {
					t.Fatal(err)
				}
			}
			last = s
		}
		if err := put(s); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := b.Import(t.Context(), stick); err != nil || len(r.Refused) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// A county restored from a backup may hold an older trust document than its controllers,
// of which it cannot verify the latest.
func TestACountyThatLacksTrustDocumentsSaysSo(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	b := w.enrol(t, village, nil, speaker("村口", village, 420))
	status := func() (s county.CountyStatus) {
		if code := w.call(t, "GET", "/api/status", nil, nil, &s); code != http.StatusOK {
			t.Fatal(code)
		}
		return s
	}
	if s := status(); s.TrustAhead != 0 {
		t.Errorf("ahead: %d", s.TrustAhead)
	}
	for range 2 {
		w.replace(t, link.RoleUpdate)
	}
	eventually(t, "it has the third", func() bool { return b.has(link.KindTrust, "") == 3 })
	var versions []int64
	for _, d := range must[[]county.Held](t)(county.Carried(w.County, t.Context())) {
		if d.Kind == link.KindTrust {
			versions = append(versions, d.Version)
		}
	}
	if !slices.Equal(versions, []int64{1, 2, 3}) {
		t.Errorf("a carrier takes trust %v", versions)
	}
	k := must[store.Controller](t)(w.Store.Controller(t.Context(), b.id))
	b.stop()
	r := store.Report{Have: map[string]int64{"trust": 5}, Health: []byte("{}")}
	eventually(t, "the county says so", func() bool { // its last sync may still be under way
		if err := w.Store.Seen(t.Context(), k.ID, r); err != nil {
			t.Fatal(err)
		}
		s := status()
		return s.TrustAhead == 5 && s.Trust == 3
	})
}
