package link_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"dalaba/link"
	"dalaba/playlist"
)

func TestAlertsAreRepeatedAfterOneFiveAndThirtySecondsAndThenEveryMinute(t *testing.T) {
	w := newWorld(t)
	b := w.enrol("daba-1", []playlist.Area{village})
	nc := must[*nats.Conn](t)(w.login(b, b.key))
	defer nc.Close()
	sub := must[*nats.Subscription](t)(nc.SubscribeSync("st.a.32.09.24.100._.alerts"))
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
	var (
		now     atomic.Int64 // milliseconds after start
		asked   atomic.Int64
		version atomic.Int64
	)
	version.Store(1)
	scope := playlist.AreaScope(town)
	raw := map[int64][]byte{1: w.countyKeys.alerts(t, scope, 1, flood("f")), 2: w.countyKeys.alerts(t, scope, 2)}
	p := &link.Publisher{Conn: w.user(link.UserPublisher), Log: quiet(), Every: time.Millisecond,
		Now: func() time.Time { return start.Add(time.Duration(now.Load()) * time.Millisecond) },
		Standing: func(context.Context) ([]link.Standing, error) {
			asked.Add(1)
			v := version.Load()
			return []link.Standing{{Scope: scope, Version: v, Raw: raw[v], Until: start.Add(200 * time.Second)}}, nil
		}}
	w.run(p.Run)
	// said moves the clock, waits for two rounds of the publisher, and counts what it published.
	said := func(at time.Duration) int {
		t.Helper()
		now.Store(at.Milliseconds())
		n := asked.Load()
		eventually(t, "the publisher has run twice", func() bool { return asked.Load() > n+2 })
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		count := 0
		for {
			if _, err := sub.NextMsg(time.Millisecond); err != nil {
				return count
			}
			count++
		}
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{0, 1}, {900 * time.Millisecond, 0}, {time.Second, 1}, {4900 * time.Millisecond, 0}, {5 * time.Second, 1}, {29 * time.Second, 0},
		{30 * time.Second, 1}, {59 * time.Second, 0}, {60 * time.Second, 1}, {119 * time.Second, 0}, {185 * time.Second, 1}, {186 * time.Second, 0},
	} {
		if got := said(c.at); got != c.want {
			t.Errorf("at %v it was said %d times, not %d", c.at, got, c.want)
		}
	}
	version.Store(2) // cancelled: the repeats of a new version start again
	if got := said(187 * time.Second); got != 1 {
		t.Errorf("the cancel was said %d times", got)
	}
	if got := said(188 * time.Second); got != 1 {
		t.Errorf("the cancel was repeated %d times", got)
	}
	if got := said(201 * time.Second); got != 0 {
		t.Errorf("after its expiry it was said %d times", got)
	}
}
