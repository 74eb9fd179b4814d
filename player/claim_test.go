package player_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dalaba/player"
	"dalaba/playlist"
	"dalaba/playlist/asrun"
	"dalaba/playlist/emergency"
)

type stubborn struct {
	player.Ledger
	mu    sync.Mutex
	fails int
}

func (l *stubborn) Claim(ctx context.Context, c asrun.Claim) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Row.Item == 2 && l.fails > 0 {
		l.fails--
		return errors.New("the disk is busy")
	}
	return l.Ledger.Claim(ctx, c)
}

func TestAClaimThatFailsCutsNothingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east")
		s.slot("trio", "1 0 * * *", func(x *playlist.Slot) { x.Count = 2 })
		s.start()
		s.stop()
		o := s.options
		o.Ledger = &stubborn{Ledger: s.store, fails: 1}
		p := player.New(s.programme, o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Run(ctx) }()
		time.Sleep(2 * time.Minute)
		cancel()
		<-ended
		defer s.close()
		if got, want := s.summary(), "trio/east/clip1:complete trio/east/clip2:complete"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		s.verify()
	})
}

// fickle is a ledger whose disk fails at times.
type fickle struct {
	player.Ledger
	mu      sync.Mutex
	from    time.Time // it fails from then
	until   time.Time // to then
	after   bool      // a claim that fails is made all the same
	records int
	most    int // goroutines while it recorded
}

var errBusyDisk = errors.New("the disk is busy")

func (l *fickle) fails() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	return !now.Before(l.from) && now.Before(l.until)
}

func (l *fickle) Claim(ctx context.Context, c asrun.Claim) error {
	if !l.fails() {
		return l.Ledger.Claim(ctx, c)
	}
	if l.after {
		if err := l.Ledger.Claim(ctx, c); err != nil {
			return err
		}
	}
	return errBusyDisk
}

func (l *fickle) End(ctx context.Context, k asrun.RowKey, e asrun.End) error {
	if l.fails() {
		return errBusyDisk
	}
	return l.Ledger.End(ctx, k, e)
}

func (l *fickle) Record(ctx context.Context, rows ...asrun.Row) error {
	if l.fails() {
		return errBusyDisk
	}
	l.mu.Lock()
	l.records++
	l.most = max(l.most, runtime.NumGoroutine())
	l.mu.Unlock()
	return l.Ledger.Record(ctx, rows...)
}

func (l *fickle) Rows(ctx context.Context, id playlist.AiringID) ([]asrun.Row, error) {
	if l.fails() {
		return nil, errBusyDisk
	}
	return l.Ledger.Rows(ctx, id)
}

func (l *fickle) Clip(ctx context.Context, id playlist.ClipID) (playlist.Clip, string, error) {
	if l.fails() {
		return playlist.Clip{}, "", errBusyDisk
	}
	return l.Ledger.Clip(ctx, id)
}

func (l *fickle) Cursor(ctx context.Context, list string) (playlist.Cursor, error) {
	if l.fails() {
		return playlist.Cursor{}, errBusyDisk
	}
	return l.Ledger.Cursor(ctx, list)
}

func TestADiskThatDoesNotAnswerLosesNoAiring(t *testing.T) {
	at := func(s string) time.Duration {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, c := range []struct {
		name, from, until string
		after             bool
		want              string
	}{
		{"as it is taken in hand", "50s", "70s", false, "duo/east/clip1:complete:late duo/east/clip2:complete"},
		{"as it is claimed", "58.5s", "70s", false, "duo/east/clip1:complete:late duo/east/clip2:complete"},
		{"as it is claimed, though it is", "59s", "59.5s", true, "duo/east/clip1:complete duo/east/clip2:complete"},
		{"until its window has passed", "50s", "400s", false, "duo/east/:missed:store duo/east/:missed:store"},
		{"while it airs", "61s", "75s", false, "duo/east/clip1:complete duo/east/clip2:complete"},
		{"while it airs, and for long", "61s", "400s", false, "duo/east/:missed:store duo/east/clip1:complete"},
		{"as it ends", "68s", "300s", false, "duo/east/clip1:complete duo/east/clip2:complete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, "east")
				s.slot("duo", "1 0 * * *", func(x *playlist.Slot) { x.Count = 2 })
				s.ledger = &fickle{Ledger: s.store, from: time.Now().Add(at(c.from)), until: time.Now().Add(at(c.until)), after: c.after}
				s.start()
				defer s.close()
				time.Sleep(450 * time.Second)
				if got := s.summary(); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
				// All is accounted for.
				s.stop()
				if mark, err := s.store.Watermark(t.Context()); err != nil || s.now().Sub(mark) > time.Second {
					t.Errorf("settled up to %v, %v", mark, err)
				}
				s.verify()
			})
		})
	}
}

func TestAWeekWithoutPowerIsRecordedBesideWhatAirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, "east", "west")
		s.slot("each", "*/5 * * * *")
		if err := s.store.SetWatermark(t.Context(), time.Now().Add(-7*24*time.Hour)); err != nil {
			t.Fatal(err)
		}
		l := &fickle{Ledger: s.store}
		s.ledger = l
		before := runtime.NumGoroutine()
		s.start()
		defer s.close()
		time.Sleep(5*time.Minute + 30*time.Second)
		s.stop()
		missed := 0
		for _, r := range s.rows() {
			if r.Outcome == asrun.Missed && r.Reason == asrun.ReasonOff {
				missed++
			} else if r.Outcome != asrun.Complete || r.Reason != "" {
				t.Errorf("%+v", r)
			}
		}
		// But for what fell due as it started.
		if want := 2 * 7 * 24 * 12; missed < want-2 || missed > want+2 {
			t.Errorf("%d rows, want %d", missed, want)
		}
		// Not a goroutine or a transaction for each. Some of the store's own take
		// a while to go on a busy machine.
		if l.most > before+missed/4 || l.records > missed/100 {
			t.Errorf("%d goroutines, %d transactions", l.most-before, l.records)
		}
		if n := strings.Count(s.log.String(), "did not sound"); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestWhatIsHeardWhileTheDiskFailsIsInTheLogOnceItWorks(t *testing.T) {
	for _, c := range []struct {
		name        string
		from, until time.Duration
		after       bool // a claim is made though it is said to have failed
	}{
		{"all the while", 500 * time.Millisecond, 40 * time.Second, false},
		{"all the while, though the rows are opened", 500 * time.Millisecond, 40 * time.Second, true},
		{"as it begins", 500 * time.Millisecond, 2 * time.Second, false},
		{"as it ends", 4 * time.Second, 40 * time.Second, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSiren(t, "east")
				s.here[0].Store(true)
				s.ledger = &fickle{Ledger: s.store, from: time.Now().Add(c.from), until: time.Now().Add(c.until), after: c.after}
				s.start()
				defer s.close()
				time.Sleep(time.Second)
				s.receive(alert("A", withClip))
				time.Sleep(15 * time.Second)
				if got := s.state("A"); got != emergency.StateDone {
					t.Errorf("before the disk works: %s", got)
				}
				s.speak(3 * time.Second)
				time.Sleep(time.Minute)
				s.stop()
				if got, want := s.parts("A"), "east/clip:complete east/tone:complete"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				spoken := 0
				for _, r := range s.rows() {
					if r.Used == asrun.UsedMic && r.Outcome == asrun.Complete && r.Frames > 2*playlist.Rate {
						spoken++
					}
					if r.Alert != "" && (r.Seq == 0 || r.Ended.Sub(r.Started) < time.Second) {
						t.Errorf("%+v", r)
					}
				}
				if spoken != 1 {
					t.Errorf("%d rows of the microphone", spoken)
				}
			})
		})
	}
}
